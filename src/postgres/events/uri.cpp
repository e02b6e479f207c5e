#include "teamscale/postgres/events/uri.h"

namespace teamscale {

namespace {

bool IsUnreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

}  // namespace

std::string_view PercentEncode(std::string_view name) {
  constexpr char kHex[] = "0123456789ABCDEF";
  auto* text = static_cast<char*>(palloc(3 * name.size() + 1));
  char* out = text;
  for (char c : name) {
    if (IsUnreserved(c)) {
      *out++ = c;
      continue;
    }
    *out++ = '%';
    *out++ = kHex[static_cast<unsigned char>(c) >> 4];
    *out++ = kHex[static_cast<unsigned char>(c) & 15];
  }
  *out = '\0';
  return {text, static_cast<std::size_t>(out - text)};
}

}  // namespace teamscale

#include <array>
#include <cstring>

#include "teamscale/core/events/json_writer.h"

namespace teamscale::core {

namespace {

constexpr char kHex[] = "0123456789abcdef";

// What follows the backslash; 'u' for \u00XX; 0: the byte stands for itself.
constexpr std::array<char, 256> kEscape = [] {
  std::array<char, 256> escape{};
  for (int c = 0; c < 0x20; ++c) escape[c] = 'u';
  escape['\b'] = 'b';
  escape['\f'] = 'f';
  escape['\n'] = 'n';
  escape['\r'] = 'r';
  escape['\t'] = 't';
  escape['"'] = '"';
  escape['\\'] = '\\';
  escape[0x7f] = 'u';
  return escape;
}();

char EscapeOf(char c) { return kEscape[static_cast<unsigned char>(c)]; }

// Whether one of the eight bytes must be escaped: below 0x20, a quote, a backslash, or 0x7f.
bool AnyEscape(std::uint64_t eight) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  constexpr std::uint64_t kHighs = kOnes * 0x80;
  auto has_zero = [](std::uint64_t v) { return (v - kOnes) & ~v; };
  std::uint64_t control = (eight - kOnes * 0x20) & ~eight;
  return ((control | has_zero(eight ^ kOnes * '"') | has_zero(eight ^ kOnes * '\\') |
           has_zero(eight ^ kOnes * 0x7f)) &
          kHighs) != 0;
}

}  // namespace

std::size_t JsonStringSize(std::string_view text) {
  std::size_t size = text.size() + 2;
  for (char c : text)
    if (char escape = EscapeOf(c)) size += escape == 'u' ? 5 : 1;
  return size;
}

char* WriteJsonString(char* out, std::string_view text) {
  *out++ = '"';
  const char* in = text.data();
  const char* end = in + text.size();
  while (in < end) {
    std::uint64_t eight;
    while (end - in >= 8) {
      std::memcpy(&eight, in, 8);
      if (AnyEscape(eight)) break;
      std::memcpy(out, &eight, 8);
      in += 8;
      out += 8;
    }
    // At least one byte, and no more than up to the next whole word's chance.
    for (int i = 0; i < 8 && in < end; ++i, ++in) {
      char escape = EscapeOf(*in);
      if (!escape) {
        *out++ = *in;
        continue;
      }
      *out++ = '\\';
      *out++ = escape;
      if (escape == 'u') {
        *out++ = '0';
        *out++ = '0';
        *out++ = kHex[static_cast<unsigned char>(*in) >> 4];
        *out++ = kHex[static_cast<unsigned char>(*in) & 15];
      }
    }
  }
  *out++ = '"';
  return out;
}

char* WriteJsonUuid(char* out, const unsigned char* bytes) {
  *out++ = '"';
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) *out++ = '-';
    *out++ = kHex[bytes[i] >> 4];
    *out++ = kHex[bytes[i] & 15];
  }
  *out++ = '"';
  return out;
}

char* WriteJsonBase64(char* out, std::string_view bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  *out++ = '"';
  std::size_t i = 0;
  auto byte = [&](std::size_t at) { return std::uint32_t{static_cast<unsigned char>(bytes[at])}; };
  for (; i + 3 <= bytes.size(); i += 3) {
    std::uint32_t three = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    *out++ = kDigits[three >> 18];
    *out++ = kDigits[three >> 12 & 63];
    *out++ = kDigits[three >> 6 & 63];
    *out++ = kDigits[three & 63];
  }
  if (i + 1 == bytes.size()) {
    std::uint32_t one = byte(i);
    *out++ = kDigits[one >> 2];
    *out++ = kDigits[(one & 3) << 4];
    *out++ = '=';
    *out++ = '=';
  } else if (i + 2 == bytes.size()) {
    std::uint32_t two = byte(i) << 8 | byte(i + 1);
    *out++ = kDigits[two >> 10];
    *out++ = kDigits[two >> 4 & 63];
    *out++ = kDigits[(two & 15) << 2];
    *out++ = '=';
  }
  *out++ = '"';
  return out;
}

}  // namespace teamscale::core

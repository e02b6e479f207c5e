#include <charconv>
#include <cmath>
#include <cstring>

#include "teamscale/core/events/json_writer.h"

namespace teamscale::core {

namespace {

char* Append(char* out, std::string_view text) {
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

template <typename Float>
char* WriteFloat(char* out, Float value) {
  if (std::isnan(value)) return Append(out, "\"NaN\"");
  if (std::isinf(value)) return Append(out, value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
  return std::to_chars(out, out + kJsonFloatSize, value).ptr;
}

}  // namespace

char* WriteJsonBoolean(char* out, bool value) { return Append(out, value ? "true" : "false"); }

char* WriteJsonInteger(char* out, std::int64_t value, NumberForm form) {
  if (form == NumberForm::kString) *out++ = '"';
  out = std::to_chars(out, out + kJsonIntegerSize, value).ptr;
  if (form == NumberForm::kString) *out++ = '"';
  return out;
}

char* WriteJsonFloat(char* out, float value) { return WriteFloat(out, value); }
char* WriteJsonFloat(char* out, double value) { return WriteFloat(out, value); }

char* WriteJsonNumeric(char* out, std::string_view text, NumberForm form) {
  char last = text.empty() ? 'N' : text.back();
  bool quoted = form == NumberForm::kString || last < '0' || last > '9';
  if (quoted) *out++ = '"';
  out = Append(out, text);
  if (quoted) *out++ = '"';
  return out;
}

}  // namespace teamscale::core

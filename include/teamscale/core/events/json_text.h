// What a text is that claims to be JSON: before it is embedded as it stands.
#pragma once

#include <string_view>

namespace teamscale::core {

enum class JsonText {
  kInvalid,   // not JSON (RFC 8259), or nested deeper than kJsonDepth, or not UTF-8
  kUnusual,   // JSON, but a string holds \u0000 or a surrogate without its other half
  kPortable,  // JSON that every parser takes
};

constexpr int kJsonDepth = 1000;

JsonText ExamineJson(std::string_view text);

}  // namespace teamscale::core

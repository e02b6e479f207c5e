#include "teamscale/core/events/json_text.h"

#include <cstdint>

#include "teamscale/core/events/utf8.h"

namespace teamscale::core {

namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// A recursive descent over the text; the position moves on what it accepts.
class Examination {
 public:
  explicit Examination(std::string_view text) : in_(text.data()), end_(in_ + text.size()) {}

  JsonText Run() {
    if (!Value(0)) return JsonText::kInvalid;
    Space();
    if (in_ != end_) return JsonText::kInvalid;
    return unusual_ ? JsonText::kUnusual : JsonText::kPortable;
  }

 private:
  void Space() {
    while (in_ < end_ && (*in_ == ' ' || *in_ == '\t' || *in_ == '\n' || *in_ == '\r')) ++in_;
  }

  bool Take(char c) {
    if (in_ == end_ || *in_ != c) return false;
    ++in_;
    return true;
  }

  bool Word(std::string_view word) {
    for (char c : word)
      if (!Take(c)) return false;
    return true;
  }

  bool Digits() {
    if (in_ == end_ || !IsDigit(*in_)) return false;
    while (in_ < end_ && IsDigit(*in_)) ++in_;
    return true;
  }

  bool Number() {
    Take('-');
    if (!Take('0') && !Digits()) return false;
    if (Take('.') && !Digits()) return false;
    if (Take('e') || Take('E')) {
      if (!Take('+')) Take('-');
      return Digits();
    }
    return true;
  }

  bool HexDigits(std::uint32_t* unit) {
    *unit = 0;
    for (int i = 0; i < 4; ++i, ++in_) {
      if (in_ == end_) return false;
      char c = *in_;
      std::uint32_t digit;
      if (IsDigit(c))
        digit = c - '0';
      else if (c >= 'a' && c <= 'f')
        digit = c - 'a' + 10;
      else if (c >= 'A' && c <= 'F')
        digit = c - 'A' + 10;
      else
        return false;
      *unit = *unit * 16 + digit;
    }
    return true;
  }

  static bool IsHigh(std::uint32_t unit) { return unit >= 0xd800 && unit < 0xdc00; }
  static bool IsLow(std::uint32_t unit) { return unit >= 0xdc00 && unit < 0xe000; }

  // Behind the opening quote.
  bool String() {
    std::uint32_t high = 0;  // a first half that waits for its second
    while (in_ < end_) {
      auto c = static_cast<unsigned char>(*in_++);
      bool second_half = false;
      if (c == '"') {
        unusual_ = unusual_ || high != 0;
        return true;
      }
      if (c < 0x20) return false;
      if (c == '\\') {
        if (in_ == end_) return false;
        char escape = *in_++;
        if (escape == 'u') {
          std::uint32_t unit;
          if (!HexDigits(&unit)) return false;
          second_half = IsLow(unit) && high != 0;
          unusual_ =
              unusual_ || unit == 0 || (high != 0 && !second_half) || (IsLow(unit) && !second_half);
          high = IsHigh(unit) ? unit : 0;
          continue;
        }
        if (std::string_view("\"\\/bfnrt").find(escape) == std::string_view::npos) return false;
      }
      unusual_ = unusual_ || high != 0;
      high = 0;
    }
    return false;
  }

  bool Object(int depth) {
    Space();
    if (Take('}')) return true;
    do {
      Space();
      if (!Take('"') || !String()) return false;
      Space();
      if (!Take(':') || !Value(depth)) return false;
      Space();
    } while (Take(','));
    return Take('}');
  }

  bool Array(int depth) {
    Space();
    if (Take(']')) return true;
    do {
      if (!Value(depth)) return false;
      Space();
    } while (Take(','));
    return Take(']');
  }

  bool Value(int depth) {
    if (depth >= kJsonDepth) return false;
    Space();
    if (in_ == end_) return false;
    switch (*in_) {
      case '{':
        ++in_;
        return Object(depth + 1);
      case '[':
        ++in_;
        return Array(depth + 1);
      case '"':
        ++in_;
        return String();
      case 't':
        return Word("true");
      case 'f':
        return Word("false");
      case 'n':
        return Word("null");
      default:
        return Number();
    }
  }

  const char* in_;
  const char* end_;
  bool unusual_ = false;
};

}  // namespace

JsonText ExamineJson(std::string_view text) {
  if (!IsUtf8(text)) return JsonText::kInvalid;
  return Examination(text).Run();
}

}  // namespace teamscale::core

// Every JSON writer of the core with arbitrary input: what it writes is JSON, within the room that
// was promised, and read back it is the value that was written.
//
// The first byte chooses the writer, the rest is its input. Two parsers read what was written:
// ExamineJson(), which is the product's, and the reader below, which shares nothing with it and
// gives the value.

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "teamscale/core/events/json_text.h"
#include "teamscale/core/events/json_writer.h"
#include "teamscale/core/events/name_pattern.h"
#include "teamscale/core/events/stream_position.h"
#include "teamscale/core/events/table_selection.h"
#include "teamscale/core/events/utf8.h"

using namespace teamscale::core;

namespace {

[[noreturn]] void Fail(const char* what, std::string_view written) {
  std::fprintf(stderr, "%s: %.*s\n", what, static_cast<int>(written.size()), written.data());
  std::abort();
}

void Require(bool condition, const char* what, std::string_view written) {
  if (!condition) Fail(what, written);
}

// A JSON string's value, or nothing when it is none. Escapes of what our writers write only.
std::optional<std::string> ReadString(std::string_view json) {
  if (json.size() < 2 || json.front() != '"' || json.back() != '"') return std::nullopt;
  json = json.substr(1, json.size() - 2);
  std::string value;
  for (std::size_t i = 0; i < json.size(); ++i) {
    auto c = static_cast<unsigned char>(json[i]);
    if (c < 0x20 || c == '"') return std::nullopt;
    if (c != '\\') {
      value += json[i];
      continue;
    }
    if (++i == json.size()) return std::nullopt;
    switch (json[i]) {
      case 'b':
        value += '\b';
        break;
      case 'f':
        value += '\f';
        break;
      case 'n':
        value += '\n';
        break;
      case 'r':
        value += '\r';
        break;
      case 't':
        value += '\t';
        break;
      case '"':
      case '\\':
        value += json[i];
        break;
      case 'u': {
        if (i + 4 >= json.size()) return std::nullopt;
        value += static_cast<char>(std::stoul(std::string(json.substr(i + 1, 4)), nullptr, 16));
        i += 4;
        break;
      }
      default:
        return std::nullopt;
    }
  }
  return value;
}

std::string ReadBase64(std::string_view text) {
  std::string bytes;
  std::uint32_t bits = 0;
  int count = 0;
  for (char c : text) {
    if (c == '=') break;
    constexpr std::string_view kDigits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bits = bits << 6 | static_cast<std::uint32_t>(kDigits.find(c));
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes += static_cast<char>(bits >> count & 0xff);
    }
  }
  return bytes;
}

template <typename Writer>
std::string Write(std::size_t room, Writer&& writer) {
  // Exactly so much: AddressSanitizer sees a byte too many.
  std::vector<char> buffer(room);
  char* end = writer(buffer.data());
  std::string written(buffer.data(), end);
  Require(written.size() <= room, "more than the bound", written);
  Require(ExamineJson(written) == JsonText::kPortable, "not JSON", written);
  return written;
}

template <typename Value>
Value Take(std::string_view input) {
  Value value{};
  std::memcpy(&value, input.data(), std::min(sizeof(value), input.size()));
  return value;
}

void Strings(std::string_view input) {
  if (!IsUtf8(input)) return;
  std::string written =
      Write(JsonStringSize(input), [&](char* out) { return WriteJsonString(out, input); });
  Require(written.size() == JsonStringSize(input), "another size", written);
  Require(ReadString(written) == std::string(input), "another string", written);
}

template <typename Float>
void Floats(std::string_view input) {
  auto value = Take<Float>(input);
  std::string written =
      Write(kJsonFloatSize, [&](char* out) { return WriteJsonFloat(out, value); });
  if (!std::isfinite(value)) {
    Require(written[0] == '"', "a number", written);
    return;
  }
  auto read = static_cast<Float>(sizeof(Float) == 4 ? std::strtof(written.c_str(), nullptr)
                                                    : std::strtod(written.c_str(), nullptr));
  Require(std::memcmp(&read, &value, sizeof(value)) == 0, "another float", written);
}

void Integers(std::string_view input) {
  auto value = Take<std::int64_t>(input);
  for (NumberForm form : {NumberForm::kNumber, NumberForm::kString}) {
    std::string written =
        Write(kJsonIntegerSize, [&](char* out) { return WriteJsonInteger(out, value, form); });
    std::string digits = form == NumberForm::kString ? *ReadString(written) : written;
    Require(std::strtoll(digits.c_str(), nullptr, 10) == value, "another integer", written);
  }
}

void Bytes(std::string_view input) {
  std::string written =
      Write(JsonBase64Size(input.size()), [&](char* out) { return WriteJsonBase64(out, input); });
  Require(ReadBase64(*ReadString(written)) == input, "other bytes", written);
  auto uuid = Take<std::array<unsigned char, 16>>(input);
  written = Write(kJsonUuidSize, [&](char* out) { return WriteJsonUuid(out, uuid.data()); });
  Require(written.size() == kJsonUuidSize, "no UUID", written);
}

// Days since 2000-01-01 of a date as written, by a way of its own.
std::int64_t DaysOf(std::string_view text) {
  bool before = text.ends_with(" BC");
  char* end;
  std::int64_t year = std::strtoll(text.data(), &end, 10);
  if (before) year = 1 - year;
  int month = std::atoi(end + 1);
  int day = std::atoi(end + 4);
  auto floor_div = [](std::int64_t a, std::int64_t b) { return (a >= 0 ? a : a - b + 1) / b; };
  std::int64_t y = month > 2 ? year : year - 1;
  std::int64_t m = month > 2 ? month - 3 : month + 9;
  return 365 * y + floor_div(y, 4) - floor_div(y, 100) + floor_div(y, 400) + (153 * m + 2) / 5 +
         day - 1 - 730425;
}

void Times(std::string_view input) {
  auto days = Take<std::int32_t>(input);
  if (days >= -2451545 && days <= 2145031948) {
    std::string written = Write(kJsonTimeSize, [&](char* out) { return WriteJsonDate(out, days); });
    Require(DaysOf(*ReadString(written)) == days, "another day", written);
  }
  auto moment = Take<std::int64_t>(input);
  constexpr std::int64_t kDay = 86400000000;
  if (moment >= -211813488000000000 && moment < 9223371331200000000) {
    std::string written =
        Write(kJsonTimeSize, [&](char* out) { return WriteJsonTimestampWithZone(out, moment); });
    std::string text = *ReadString(written);
    std::int64_t day = moment / kDay - (moment % kDay < 0 ? 1 : 0);
    Require(DaysOf(text.substr(0, text.find('T')) + (text.ends_with(" BC") ? " BC" : "")) == day,
            "another day", written);
    Write(kJsonTimeSize, [&](char* out) { return WriteJsonTimestamp(out, moment); });
    std::int64_t of_day = moment - day * kDay;
    std::string time = Write(kJsonTimeSize, [&](char* out) { return WriteJsonTime(out, of_day); });
    double seconds =
        std::atoi(&time[1]) * 3600.0 + std::atoi(&time[4]) * 60.0 + std::atof(&time[7]);
    Require(std::llround(seconds * 1e6) == of_day, "another time", time);
  }
}

// Whatever the text is, the answers are the same twice, and what is JSON stays JSON in a list.
void Texts(std::string_view input) {
  JsonText kind = ExamineJson(input);
  if (kind != JsonText::kInvalid)
    Require(ExamineJson("[" + std::string(input) + ",1]") == kind, "not in a list", input);
  if (auto position = ParsePosition(input))
    Require(ParsePosition(FormatPosition(*position))->points == position->points,
            "another position", input);
  TableSelection selection;
  selection.IncludeTables(input);
  selection.FilterRows(input);
  selection.HasTable(input.substr(0, input.size() / 2), input.substr(input.size() / 2));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string copy(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::string_view input = copy;
  switch (data[0] % 7) {
    case 0:
      Strings(input);
      break;
    case 1:
      Floats<double>(input);
      break;
    case 2:
      Floats<float>(input);
      break;
    case 3:
      Integers(input);
      break;
    case 4:
      Bytes(input);
      break;
    case 5:
      Times(input);
      break;
    default:
      Texts(input);
      break;
  }
  return 0;
}

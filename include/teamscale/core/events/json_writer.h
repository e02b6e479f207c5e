// JSON values, written straight into a caller's buffer.
//
// Each function writes one value at out and gives the end of what it wrote. The caller has made
// room: a k...Size constant says how much, or the ...Bound function does. Nothing is terminated by
// a zero byte. The same value gives the same bytes whatever the session's settings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace teamscale::core {

// The text as a JSON string. It must be valid UTF-8 (see utf8.h). Bound: every byte may become
// \u00XX, and two quotes. Size: exactly what will be written; for texts so long that the bound
// would waste memory.
constexpr std::size_t JsonStringBound(std::size_t length) { return 6 * length + 2; }
std::size_t JsonStringSize(std::string_view text);
char* WriteJsonString(char* out, std::string_view text);

constexpr std::size_t kJsonBooleanSize = 5;
char* WriteJsonBoolean(char* out, bool value);

// As a number, or as a string of digits: JavaScript's numbers are exact up to 2^53 only.
enum class NumberForm { kNumber, kString };

constexpr std::size_t kJsonIntegerSize = 22;
char* WriteJsonInteger(char* out, std::int64_t value, NumberForm form = NumberForm::kNumber);

// The shortest digits that give the same float again; "NaN", "Infinity" and "-Infinity" as strings.
constexpr std::size_t kJsonFloatSize = 32;
char* WriteJsonFloat(char* out, float value);
char* WriteJsonFloat(char* out, double value);

// A numeric from its text form, no digit changed; "NaN" and infinities as strings.
constexpr std::size_t JsonNumericBound(std::size_t length) { return length + 2; }
char* WriteJsonNumeric(char* out, std::string_view text, NumberForm form);

constexpr std::size_t JsonBase64Size(std::size_t length) { return (length + 2) / 3 * 4 + 2; }
char* WriteJsonBase64(char* out, std::string_view bytes);

// Of 16 bytes.
constexpr std::size_t kJsonUuidSize = 38;
char* WriteJsonUuid(char* out, const unsigned char* bytes);

// Days and microseconds are counted from 2000-01-01, as PostgreSQL counts. ISO 8601; years before
// our era carry " BC" and infinities are "infinity" and "-infinity", as PostgreSQL reads them.
constexpr std::size_t kJsonTimeSize = 48;
char* WriteJsonDate(char* out, std::int32_t days);
char* WriteJsonTime(char* out, std::int64_t microseconds);
// zone: seconds west of Greenwich.
char* WriteJsonTimeWithZone(char* out, std::int64_t microseconds, std::int32_t zone);
char* WriteJsonTimestamp(char* out, std::int64_t microseconds);
// The same moment in UTC, marked by Z.
char* WriteJsonTimestampWithZone(char* out, std::int64_t microseconds);

}  // namespace teamscale::core

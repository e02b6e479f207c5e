#include <charconv>
#include <cstring>
#include <limits>

#include "teamscale/core/events/json_writer.h"

namespace teamscale::core {

namespace {

constexpr std::int64_t kSecond = 1000000;
constexpr std::int64_t kDay = 86400 * kSecond;

char* Append(char* out, std::string_view text) {
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

char* TwoDigits(char* out, int value) {
  *out++ = static_cast<char>('0' + value / 10);
  *out++ = static_cast<char>('0' + value % 10);
  return out;
}

struct Day {
  std::int64_t year;  // astronomical: 0 is 1 BC
  int month;
  int day;
};

// The proleptic Gregorian calendar, in eras of 400 years that begin on 1 March.
Day DayOf(std::int64_t days) {
  std::int64_t shifted = days + 730425;  // days from 0000-03-01 to 2000-01-01
  std::int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
  auto of_era = static_cast<std::uint32_t>(shifted - era * 146097);
  std::uint32_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  std::uint32_t of_year = of_era - (365 * year + year / 4 - year / 100);
  std::uint32_t month = (5 * of_year + 2) / 153;  // 0 is March
  int day = static_cast<int>(of_year - (153 * month + 2) / 5 + 1);
  int calendar_month = static_cast<int>(month < 10 ? month + 3 : month - 9);
  return {.year = year + era * 400 + (calendar_month <= 2 ? 1 : 0),
          .month = calendar_month,
          .day = day};
}

char* AppendDay(char* out, const Day& day) {
  std::int64_t year = day.year > 0 ? day.year : 1 - day.year;
  if (year < 10000) {
    out = TwoDigits(out, static_cast<int>(year / 100));
    out = TwoDigits(out, static_cast<int>(year % 100));
  } else {
    out = std::to_chars(out, out + 20, year).ptr;
  }
  *out++ = '-';
  out = TwoDigits(out, day.month);
  *out++ = '-';
  return TwoDigits(out, day.day);
}

// 0 to 24:00:00; the fraction without its trailing zeros.
char* AppendTime(char* out, std::int64_t microseconds) {
  auto seconds = static_cast<std::uint32_t>(microseconds / kSecond);
  auto fraction = static_cast<std::uint32_t>(microseconds % kSecond);
  out = TwoDigits(out, static_cast<int>(seconds / 3600));
  *out++ = ':';
  out = TwoDigits(out, static_cast<int>(seconds / 60 % 60));
  *out++ = ':';
  out = TwoDigits(out, static_cast<int>(seconds % 60));
  if (fraction == 0) return out;
  *out++ = '.';
  for (std::uint32_t unit = 100000; fraction != 0; unit /= 10) {
    *out++ = static_cast<char>('0' + fraction / unit);
    fraction %= unit;
  }
  return out;
}

char* AppendZone(char* out, std::int32_t west) {
  *out++ = west <= 0 ? '+' : '-';
  std::int32_t seconds = west <= 0 ? -west : west;
  out = TwoDigits(out, seconds / 3600);
  *out++ = ':';
  out = TwoDigits(out, seconds / 60 % 60);
  if (seconds % 60 != 0) {
    *out++ = ':';
    out = TwoDigits(out, seconds % 60);
  }
  return out;
}

char* AppendTimestamp(char* out, std::int64_t microseconds, std::string_view zone) {
  if (microseconds == std::numeric_limits<std::int64_t>::max()) return Append(out, "\"infinity\"");
  if (microseconds == std::numeric_limits<std::int64_t>::min()) return Append(out, "\"-infinity\"");
  std::int64_t days = microseconds / kDay;
  std::int64_t of_day = microseconds % kDay;
  if (of_day < 0) {
    of_day += kDay;
    --days;
  }
  Day day = DayOf(days);
  *out++ = '"';
  out = AppendDay(out, day);
  *out++ = 'T';
  out = AppendTime(out, of_day);
  out = Append(out, zone);
  if (day.year <= 0) out = Append(out, " BC");
  *out++ = '"';
  return out;
}

}  // namespace

char* WriteJsonDate(char* out, std::int32_t days) {
  if (days == std::numeric_limits<std::int32_t>::max()) return Append(out, "\"infinity\"");
  if (days == std::numeric_limits<std::int32_t>::min()) return Append(out, "\"-infinity\"");
  Day day = DayOf(days);
  *out++ = '"';
  out = AppendDay(out, day);
  if (day.year <= 0) out = Append(out, " BC");
  *out++ = '"';
  return out;
}

char* WriteJsonTime(char* out, std::int64_t microseconds) {
  *out++ = '"';
  out = AppendTime(out, microseconds);
  *out++ = '"';
  return out;
}

char* WriteJsonTimeWithZone(char* out, std::int64_t microseconds, std::int32_t zone) {
  *out++ = '"';
  out = AppendZone(AppendTime(out, microseconds), zone);
  *out++ = '"';
  return out;
}

char* WriteJsonTimestamp(char* out, std::int64_t microseconds) {
  return AppendTimestamp(out, microseconds, "");
}

char* WriteJsonTimestampWithZone(char* out, std::int64_t microseconds) {
  return AppendTimestamp(out, microseconds, "Z");
}

}  // namespace teamscale::core

#include "teamscale/postgres/partition/server_zone.h"

#include "teamscale/core/partition/civil_time.h"

extern "C" {
#include "utils/datetime.h"
#include "utils/timestamp.h"
}

namespace teamscale {

// The server's functions that are called here raise nothing, so both dialects may use a zone.

core::Point ServerZone::LocalToInstant(core::Point local) const {
  std::int64_t days = core::FloorDivide(local, core::kDay);
  auto seconds = static_cast<int>(core::FloorModulo(local, core::kDay) / core::kSecond);
  core::CivilDate date = core::DateOfDays(days);
  pg_tm time{};
  time.tm_year = static_cast<int>(date.year);
  time.tm_mon = date.month;
  time.tm_mday = date.day;
  time.tm_hour = seconds / 3600;
  time.tm_min = seconds / 60 % 60;
  time.tm_sec = seconds % 60;
  return local + DetermineTimeZoneOffset(&time, zone_) * core::kSecond;
}

core::Point ServerZone::InstantToLocal(core::Point instant) const {
  pg_time_t seconds = core::FloorDivide(instant, core::kSecond);
  const pg_tm* time = pg_localtime(&seconds, zone_);
  return time ? instant + time->tm_gmtoff * core::kSecond : instant;
}

pg_tz* FindServerZone(const char* name) {
  if (strchr(name, ',') || strchr(name, '<')) return nullptr;
  pg_tz* zone = pg_tzset(name);
  // A name that no file has may still be a POSIX rule; those have digits and no slash.
  if (!zone || (!strchr(name, '/') && strpbrk(name, "0123456789+-"))) return nullptr;
  return zone;
}

}  // namespace teamscale

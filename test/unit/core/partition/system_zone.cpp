#include "system_zone.h"

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <stdexcept>
#include <utility>

#include "teamscale/core/partition/civil_time.h"

namespace teamscale::core {

namespace {

constexpr std::int64_t kSecondsOfDay = 86400;

// The C library has one zone at a time.
void Select(const std::string& name) {
  static std::string selected;
  if (selected == name) return;
  setenv("TZ", name.c_str(), 1);
  tzset();
  selected = name;
}

}  // namespace

SystemZone::SystemZone(std::string name) : name_(std::move(name)) {
  if (!std::filesystem::exists("/usr/share/zoneinfo/" + name_))
    throw std::runtime_error("no time zone \"" + name_ + "\" on this machine");
}

std::int64_t SystemZone::OffsetAt(std::int64_t instant) const {
  Select(name_);
  std::time_t time = instant;
  std::tm fields{};
  if (localtime_r(&time, &fields) == nullptr) throw std::runtime_error("no local time");
  return fields.tm_gmtoff;
}

Point SystemZone::InstantToLocal(Point instant) const {
  return instant + OffsetAt(FloorDivide(instant, kSecond)) * kSecond;
}

Point SystemZone::LocalToInstant(Point local) const {
  std::int64_t seconds = FloorDivide(local, kSecond);
  std::int64_t first = seconds - kSecondsOfDay;
  std::int64_t last = seconds + kSecondsOfDay;
  std::int64_t before_offset = OffsetAt(first);
  std::int64_t after_offset = OffsetAt(last);
  std::int64_t before = seconds - before_offset;
  std::int64_t after = seconds - after_offset;
  if (before != after) {
    // The boundary is the first second with the later offset; within two days there is one at most.
    while (last - first > 1) {
      std::int64_t middle = first + (last - first) / 2;
      (OffsetAt(middle) == before_offset ? first : last) = middle;
    }
    std::int64_t boundary = last;
    bool both_after = before > boundary && after >= boundary;
    bool both_before = before < boundary && after < boundary;
    if (both_after || (!both_before && before <= after)) before = after;
  }
  return local - (seconds - before) * kSecond;
}

}  // namespace teamscale::core

// Civil times as tests write them.
#pragma once

#include "teamscale/core/partition/civil_time.h"

namespace teamscale::core {

inline Point Civil(std::int64_t year, int month = 1, int day = 1, int hour = 0, int minute = 0) {
  return DaysOf({.year = year, .month = month, .day = day}) * kDay + hour * kHour +
         minute * kMinute;
}

}  // namespace teamscale::core

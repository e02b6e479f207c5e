// What a time zone says: which civil time is shown there at an instant, and which instant is meant
// by a civil time.
//
// Where clocks are put forward some civil times do not exist (a *gap*), where they are put back
// some come twice (an *overlap*). Both are read as PostgreSQL reads them, so that the bounds that
// the calendar computes are those that date_trunc() and a timestamp in a query give:
//
//   gap       the offset before it: 02:30 in a gap from 02:00 to 03:00 means what is shown as 03:30
//   overlap   the offset after it: the second time that the clock shows it
//
// Hence a civil midnight in a gap is the instant at which the gap is left, and two civil midnights
// may be one instant where a whole day was left out (Pacific/Apia, 2011-12-30).
#pragma once

#include "teamscale/core/partition/range.h"

namespace teamscale::core {

class ZoneRules {
 public:
  virtual ~ZoneRules() = default;

  virtual Point LocalToInstant(Point local) const = 0;
  virtual Point InstantToLocal(Point instant) const = 0;
};

// UTC, and zones that are always the same microseconds ahead of it.
class FixedZone : public ZoneRules {
 public:
  explicit FixedZone(Point offset = 0) : offset_(offset) {}

  Point LocalToInstant(Point local) const override { return local - offset_; }
  Point InstantToLocal(Point instant) const override { return instant + offset_; }

 private:
  Point offset_;
};

}  // namespace teamscale::core

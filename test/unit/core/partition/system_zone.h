// Time zones of the machine's database, for tests: what localtime_r() says of an instant, and
// PostgreSQL's rule for which instant a civil time means (DetermineTimeZoneOffset).
#pragma once

#include <string>

#include "teamscale/core/partition/zone_rules.h"

namespace teamscale::core {

class SystemZone : public ZoneRules {
 public:
  // Throws std::runtime_error when the machine does not know the zone.
  explicit SystemZone(std::string name);

  Point LocalToInstant(Point local) const override;
  Point InstantToLocal(Point instant) const override;

 private:
  // Seconds ahead of UTC, at an instant in seconds.
  std::int64_t OffsetAt(std::int64_t instant) const;

  std::string name_;
};

}  // namespace teamscale::core

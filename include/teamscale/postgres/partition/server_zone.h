// A time zone as the server knows it: the rules by which date_trunc() and timestamps in queries are
// read, whatever the session's TimeZone is.
#pragma once

#include "teamscale/core/partition/zone_rules.h"
#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "pgtime.h"
}

namespace teamscale {

class ServerZone : public core::ZoneRules {
 public:
  explicit ServerZone(pg_tz* zone) : zone_(zone) {}

  core::Point LocalToInstant(core::Point local) const override;
  core::Point InstantToLocal(core::Point instant) const override;

 private:
  pg_tz* zone_;
};

// The zone of a full name, such as Europe/Berlin or UTC; null when the server knows none. (An
// abbreviation or a POSIX rule is no name: what it means changes with settings.) Plain dialect.
pg_tz* FindServerZone(const char* name);

}  // namespace teamscale

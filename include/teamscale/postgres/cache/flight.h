// Single flight: of those who miss a key at the same time one reads the table, the others wait for
// it, but not for long. A flight is a courtesy: whoever does not get one, or has waited enough,
// goes on alone. Plain dialect.
#pragma once

#include <cstdint>

#include "teamscale/postgres/boundary/server.h"

namespace teamscale {

// Defines the setting and asks for memory. Called once by _PG_init.
void InitFlight();

struct FlightTicket {
  std::uint64_t hash;
  std::uint32_t place;
  int slot;  // -1: none is held
};

// False when somebody else is reading that key: the ticket is for AwaitFlight then. True: go on,
// and end it.
bool BeginFlight(std::uint64_t hash, std::uint32_t place, FlightTicket* ticket);
// Never raises.
void EndFlight(const FlightTicket& ticket) noexcept;
// Until the flight has ended, or teamscale.cache_wait_timeout has passed. Can be cancelled.
void AwaitFlight(const FlightTicket& ticket);

}  // namespace teamscale

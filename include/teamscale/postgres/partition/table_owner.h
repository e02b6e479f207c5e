#pragma once

#include "teamscale/postgres/boundary/server.h"

namespace teamscale {

// Raises 42501 unless the current user owns the table or is a member of its owner, 42P01 when there
// is none. Plain dialect.
void RequireTableOwner(Oid table);

// Plain dialect.
Oid TableOwner(Oid table);

}  // namespace teamscale

// The cluster's secret, by which a connection proves to be a node's. It is stored in
// teamscale_internal.node_secret, which no SQL can read. Plain dialect.
#pragma once

#include <cstddef>

#include "teamscale/postgres/boundary/server.h"

namespace teamscale {

inline constexpr std::size_t kAuthenticationCodeLength = 32;  // HMAC-SHA-256

// Installs the permission check that keeps the secret from every SQL statement. Called once by
// _PG_init.
void InitNodeSecret();

// Fills code with the message's authentication code under the secret. False when this database has
// no secret (it is no node, or was restored from a dump, which does not contain it).
bool AuthenticateWithSecret(const char* message, std::size_t length, unsigned char* code);

// A copy of the secret, or null. The caller wipes it.
bytea* ReadNodeSecret();

}  // namespace teamscale

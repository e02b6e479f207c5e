// SQL of teamscale's own on its own tables, for a caller whom the code has checked before.
#pragma once

#include "teamscale/postgres/boundary/server.h"

namespace teamscale {

// By the extension's schema.
Oid ExtensionOwner();

// Runs fixed SQL of ours as the extension's owner, with parameters. Plain dialect, connected to
// SPI. Gives what SPI_execute_with_args gives; the result stays in SPI.
int ExecuteAsExtensionOwner(const char* sql, int count, Oid* types, Datum* values,
                            const char* nulls);

}  // namespace teamscale

// SQL of teamscale's own on its own tables, for a caller whom the code has checked before.
#pragma once

#include <cstdlib>

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "nodes/pg_list.h"
}

namespace teamscale {

// By the extension's schema.
Oid ExtensionOwner();

// Runs fixed SQL of ours as the extension's owner, with parameters. Plain dialect, connected to
// SPI. Gives what SPI_execute_with_args gives; the result stays in SPI.
int ExecuteAsExtensionOwner(const char* sql, int count, Oid* types, Datum* values,
                            const char* nulls);

// OIDs as a list, in the current memory context. Plain dialect.
List* OidList(const Oid* oids, std::size_t count);

// An array of OIDs as SQL has it. Plain dialect.
Datum OidArray(const List* oids);

// What such a query, without a parameter or with an array of OIDs as its only one, gives, as text:
// one array of char* for each row, null for NULL, in the current memory context. Plain dialect.
List* ReadTextRows(const char* sql);
List* ReadTextRows(const char* sql, const List* oids);
// Of such a row.
inline Oid OidOfText(const char* text) { return static_cast<Oid>(std::strtoul(text, nullptr, 10)); }

}  // namespace teamscale

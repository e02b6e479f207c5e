// Changes of a cached table that no row trigger sees: DDL, TRUNCATE, partitions that come and go.
//
// The transaction that makes one finds by the invalidations that it sends itself which caches it
// concerns. Before it commits (or is prepared) it takes the cache's *definition lock*, which it
// holds until its end, and then raises the floor. Whoever reads the table to install an answer
// first makes sure that nobody holds that lock. Plain dialect.
#pragma once

#include "teamscale/postgres/cache/definition.h"

namespace teamscale {

// Sets hooks and callbacks. Called once by _PG_init.
void InitDefinitionChanges();

// Whether no transaction is about to make a change of the table visible. Does not wait. Accepts
// invalidations: afterwards the catalogs are seen as the last such transaction left them.
bool DefinitionIsSettled(const Cache* cache);

// Whether this transaction has changed the definition of a cached table.
bool HasChangedDefinition();

// Around a command: whatever it changes is noticed.
void EnterDefinitionCommand();
void LeaveDefinitionCommand();

}  // namespace teamscale

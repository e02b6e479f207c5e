// What this backend writes, noted before the first row is changed. A transaction that writes a
// cached table neither takes answers from the cache of it nor installs any until it ends: the
// trigger records a change when the row is there already, and a function that is called within the
// statement could see it before. Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"

namespace teamscale {

// Sets the executor's and the utility hook. Called once by _PG_init.
void InitWriteNotice();

// Rows of this relation, or of what belongs to it, are about to be written by this transaction, in
// a way that the executor's start does not see.
void NoteWrite(Oid relation);

}  // namespace teamscale

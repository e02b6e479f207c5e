// The mirror: triggers on the source of a rewrite that do to its destination what is done to it.
//
// They are internal triggers, as foreign keys have them: ALTER TABLE ... DISABLE TRIGGER USER,
// session_replication_role and pg_dump pass them by. Plain dialect, within a transaction.
#pragma once

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "utils/rel.h"
}

namespace teamscale {

// What the triggers are told.
struct MirrorPair {
  Oid destination;
  Oid destination_key;  // its unique index that tells rows apart
  Oid source_key;       // the source's
  bool alone;           // the destination holds rows of this source only
};

// SHARE ROW EXCLUSIVE on the source: whoever has written to it has ended before, whoever will write
// to it will write to the destination.
void InstallMirror(Oid source, const MirrorPair& pair);

// ACCESS EXCLUSIVE on the source, when it has a mirror.
void RemoveMirror(Oid source);

// Of a trigger of InstallMirror.
MirrorPair ReadMirrorPair(const Trigger* trigger);

}  // namespace teamscale

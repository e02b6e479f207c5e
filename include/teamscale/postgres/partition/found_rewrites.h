// The unfinished rewrites of tables, as the journal says. Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "nodes/pg_list.h"
}

namespace teamscale {

struct FoundRewrite {
  int64 id;
  const char* operation;
  Oid table;
  const char* schema;
  const char* name;
  List* sources;  // OIDs
  List* targets;  // of FoundPartition; NIL before they are built
  bool is_running;
  double rows;  // the planner's estimates, of the sources
  double bytes;
};

// Of all the tables given (a list of OIDs), in the current memory context: a list of FoundRewrite.
// Within a transaction.
List* FindRewrites(const List* tables);

}  // namespace teamscale

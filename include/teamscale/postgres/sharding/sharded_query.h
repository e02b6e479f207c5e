// What a rewritten query has to do with sharded tables, and which values their keys are pinned to.
// Plain dialect.
#pragma once

#include "teamscale/core/sharding/shard_map.h"
#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
}

namespace teamscale {

// A sharded table in the query whose key is pinned: the value, an expression without columns (a
// constant, a parameter, a stable expression), an array of values when is_array, or null: the keys
// of a leaf of this node that the query names.
struct KeyPin {
  Oid relation;
  Expr* value;
  bool is_array;
};

struct ShardedQuery {
  // Distinct pins of all sharded tables in the query; all must resolve to one node.
  List* pins;  // of KeyPin*
  // Why the query cannot be sent to one node; null when it can. DETAIL and HINT of the error.
  const char* obstacle;
  const char* hint;
  // Whether it names tables that are not sharded (system catalogs too).
  bool names_other_tables;
};

// Null when the query names no sharded table at any level.
ShardedQuery* AnalyzeShardedQuery(Query* query, const core::ShardMap* map);

// Whether the query names a sharded table at any level: a quick look before the analysis.
bool NamesShardedTable(Query* query, const core::ShardMap* map);

// FROM ONLY names a sharded table with all its rows, as it did before the table was sharded; for
// PostgreSQL it would be the parent without its leaves, which is always empty. Changes the query.
void ReadWholeTables(Query* query, const core::ShardMap* map);

// Whether an expression may pin a key: it has no columns, subqueries or aggregates, is not volatile
// and can be evaluated once, before the statement runs.
bool CanPin(Node* expression);

}  // namespace teamscale

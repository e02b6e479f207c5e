// What the analysis of a query's sharded tables (sharded_query.cpp) collects while it walks the
// levels of the query: the columns that conditions compare, and the seeds and edges of the pin
// graph (core/sharding/pin_graph.h). Plain dialect.
#pragma once

#include "teamscale/core/sharding/pin_graph.h"
#include "teamscale/core/sharding/shard_map.h"
#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "nodes/bitmapset.h"
#include "nodes/parsenodes.h"
}

namespace teamscale::pin_analysis {

using core::Equality;

// A level of the query, and the level around it.
struct Level {
  Query* query;
  Level* outer;
};

struct Column {
  Query* query;
  int entry;  // index in its range table
  AttrNumber attribute;
};

// What a column is pinned to: an expression, or the bucket of a leaf that the query names itself
// (a foreign key's check does): then its group is given instead.
struct Value {
  Expr* expression;
  bool is_array;
  core::GroupId leaf_group;
};

// A key that must be pinned: of a sharded table that the query names, or one that it writes.
struct Reference {
  Oid relation;
  int column;
};

struct CommonTable {
  Query* level;
  const char* name;
  Query* query;
  bool recursive;
};

template <typename T>
struct Array {
  T* items;
  int count;
  int capacity;

  int Add(T item) {
    if (count == capacity) {
      capacity = capacity ? capacity * 2 : 16;
      items = static_cast<T*>(items ? repalloc(items, sizeof(T) * capacity)
                                    : palloc(sizeof(T) * capacity));
    }
    items[count] = item;
    return count++;
  }
};

struct Analysis {
  const core::ShardMap* map;
  Array<Column> columns;
  Array<Equality> wanted;
  Array<Value> values;
  Array<core::PinSeed> seeds;
  Array<core::PinEdge> edges;
  Array<Reference> references;
  Array<CommonTable> common_tables;
  const char* obstacle;
  const char* hint;
  bool names_other_tables;
};

// Which tables of the level a condition may pin: all, or those of one side of an outer join. Outer
// levels' columns are never pinned from within.
struct Scope {
  Level* level;
  Bitmapset* pinnable;  // null: all of the level
};

// The number of a column, given when it is first seen.
int NumberColumn(Analysis* analysis, Query* query, int entry, AttrNumber attribute);

// The column that an expression stands for, by casts that keep it equal and aliases of joins; -1
// when it is none.
int ColumnOf(Analysis* analysis, Level* level, Node* expression);

// Whether a condition of this scope may pin the column.
bool MayPin(const Scope& scope, const Analysis* analysis, int column);

void Seed(Analysis* analysis, int column, Expr* value, bool is_array, Equality equality);

// Adds what one ANDed condition, or a list of them, says of columns.
void AddCondition(Analysis* analysis, const Scope& scope, Node* condition);

// Adds the conditions of a join tree.
void AddJoinTree(Analysis* analysis, Level* level, Node* node);

// The range table entries that a join tree joins.
Bitmapset* EntriesBelow(Node* node);

// Ties a column to the output of a query that it has its values from (equality: or is compared
// with): pins pass outward and inward as far as the query lets them.
void TieOutput(Analysis* analysis, Query* inner_query, Level* level, const TargetEntry* output,
               int outside, Equality equality, bool outward, bool inward);

// Ties the columns of a range table entry to the outputs of the query behind it.
void TieOutputs(Analysis* analysis, Level* level, int entry, Query* inner_query, bool inward);

// An array of values; null when one of them cannot pin, or they are of several types.
Expr* ArrayOfValues(List* values);

// A VALUES list pins a column to the value that all its rows have, or to the set of its values.
void AddValues(Analysis* analysis, Level* level, int entry, List* rows);

}  // namespace teamscale::pin_analysis

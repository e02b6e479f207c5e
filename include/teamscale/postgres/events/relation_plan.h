// All that a stream needs to know of a table to write its events, found out once: under which name
// it is published, its columns with their escaped names and classes, its key, its row filter.
// Dropped when the table, an ancestor, a type or a schema changes. Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"
#include "teamscale/postgres/events/stream_options.h"
#include "teamscale/postgres/events/type_plan.h"

extern "C" {
#include "access/htup.h"
#include "utils/hsearch.h"
#include "utils/relcache.h"
}

namespace teamscale {

struct RowFilter;

struct ColumnPlan {
  FieldPlan field;
  const char* name;  // as the catalog has it
  bool key;
  bool nullable;
  bool verbatim;  // in the row that was written last: JSON as a string
};

// A row, deformed.
struct RowValues {
  Datum* values;
  bool* nulls;
};

struct RelationPlan {
  Oid relid;  // hash key
  bool valid;
  bool published;
  MemoryContext context;

  Oid root;  // whose name its rows have
  const char* schema;
  const char* table;
  const char* leaf;  // the partition's own name, schema included; null when it is no partition
  bool is_root;      // the relation is the one whose name is published

  int column_count;
  ColumnPlan* columns;  // published ones, in the root's order
  bool keyless;         // nothing identifies an old row
  bool old_row_whole;   // REPLICA IDENTITY FULL
  std::uint64_t version;
  char version_text[17];
  RowFilter* filter;

  RowValues old_row;  // room for one row each
  RowValues new_row;

  // What the format wants to say once per table, by operation; set by the format.
  std::string_view heads[6];
  std::string_view schema_json;
};

// The plans of one decoding context.
class RelationPlans {
 public:
  // Plans are allocated below the context.
  void Init(MemoryContext context, const StreamOptions* options);
  // The relation's plan; built anew when the old one no longer holds. built says so.
  RelationPlan* Find(Relation relation, bool* built);
  void Invalidate();

 private:
  void Build(Relation relation, RelationPlan* plan);

  MemoryContext context_;
  const StreamOptions* options_;
  HTAB* plans_;
};

// The version of a table's schema that its events refer to: of all its columns, whatever a stream
// leaves out, in names and not in OIDs, so that all nodes have the same.
std::uint64_t SchemaVersionOf(Relation relation);

// Which of the plan's columns changed, as far as both rows say; for events of whole old rows.
bool ColumnChanged(const RelationPlan* plan, Relation relation, const ColumnPlan* column);

}  // namespace teamscale

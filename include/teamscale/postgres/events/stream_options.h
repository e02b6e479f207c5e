// What a reader wants of the log: the output plugin's options. Plain dialect.
#pragma once

#include "teamscale/core/events/stream_position.h"
#include "teamscale/core/events/table_selection.h"
#include "teamscale/postgres/boundary/server.h"
#include "teamscale/postgres/events/type_plan.h"

extern "C" {
#include "nodes/pg_list.h"
}

namespace teamscale {

enum class EventFormat { kCloudEvents, kDebezium, kRow };

struct StreamOptions {
  const char* stream_id;  // null: no stream of the catalog
  EventFormat format;
  ValueStyle style;
  bool transactions;  // begin and commit markers
  bool ddl;
  bool events;      // what emit_event() wrote
  bool leaf_names;  // partitions and buckets under their own names
  bool schemas;     // Debezium: each message with its schema
  bool local_only;  // nothing that a replication origin brought
  List* prefixes;   // of logical messages that others wrote, as char*
  core::StreamPoint start;
  core::TableSelection* selection;  // lives as long as the memory context of the options
};

// From the options by name, as START_REPLICATION and pg_logical_slot_peek_changes() take them.
// Unknown, twice given, malformed and contradictory ones are refused. What is kept is allocated in
// the current memory context. The option stream stands for those that the stream was made with: the
// catalog is read, in a transaction of its own when there is none.
StreamOptions ParseStreamOptions(List* options);

}  // namespace teamscale

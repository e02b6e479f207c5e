// What the output plugin keeps while it decodes. Plain dialect.
//
// Terms: the *change* at hand has an ordinal in its *transaction*, counted before any filter. What
// is published of it is an *event*, written in the stream's format.
#pragma once

#include "teamscale/postgres/boundary/server.h"
#include "teamscale/postgres/events/relation_plan.h"
#include "teamscale/postgres/events/stream_options.h"

extern "C" {
#include "datatype/timestamp.h"
#include "replication/logical.h"
}

namespace teamscale {

// The first five are operations on a table, and index RelationPlan::heads.
enum class EventKind {
  kInsert,
  kUpdate,
  kDelete,
  kRead,  // a row that was there before: of snapshot_events()
  kTruncate,
  kBegin,
  kCommit,
  kDdl,
  kEvent,    // of emit_event()
  kMessage,  // a logical message that somebody else wrote
  kPoison,   // stands for an event that cannot be written
};
const char* NameOf(EventKind kind);

// The transaction at hand.
struct TransactionState {
  XLogRecPtr commit_lsn;
  XLogRecPtr end_lsn;
  TimestampTz commit_time;
  TransactionId xid;
  std::uint64_t ordinal;  // of the last change seen
  std::uint64_t written;  // events
  bool careful;           // an earlier decoding of it failed: each event in a subtransaction
  bool described;         // the pieces below are made
  // Pieces of JSON that all its events have, made by the format.
  char id[96];  // an event's id up to the ordinal
  int id_length;
  char time[core::kJsonTimeSize];  // the commit time as a JSON string
  int time_length;
  char attributes[128];  // CloudEvents: what follows the id
  int attributes_length;
};

struct PluginState;

// A row event, deformed.
struct RowChange {
  EventKind kind;
  Relation relation;
  RelationPlan* plan;
  bool has_old;  // plan->old_row: whole, or the key alone
  bool has_new;  // plan->new_row
};

// A logical message, in parts; a part that is not there has no data.
struct MessageParts {
  std::string_view topic;    // or the prefix
  std::string_view key;      // text
  std::string_view headers;  // JSON
  std::string_view payload;  // JSON; of a foreign message, its bytes
  bool transactional;
};

struct Formatter {
  // Makes the pieces that all events of a transaction have; null when there are none.
  void (*describe)(TransactionState* transaction);
  // Makes the pieces that events of a table begin with.
  void (*plan)(const PluginState* state, RelationPlan* plan, TupleDesc descriptor);
  void (*row)(const PluginState* state, EventBuffer* buffer, const RowChange& change);
  void (*truncate)(const PluginState* state, EventBuffer* buffer, const RelationPlan* plan);
  void (*marker)(const PluginState* state, EventBuffer* buffer, EventKind kind);
  void (*ddl)(const PluginState* state, EventBuffer* buffer, std::string_view json);
  void (*message)(const PluginState* state, EventBuffer* buffer, EventKind kind,
                  const MessageParts& message);
  // plan may be null; key is JSON or empty.
  void (*poison)(const PluginState* state, EventBuffer* buffer, const RelationPlan* plan,
                 std::string_view key, const char* reason);
};
extern const Formatter kCloudEventsFormatter;
extern const Formatter kDebeziumFormatter;
extern const Formatter kRowFormatter;

// What an event is: for a reader in SQL, whose write callback looks here.
struct EventHeader {
  EventKind kind;
  const RelationPlan* plan;  // null: no table
  std::string_view topic;    // of a message; no data: none
  StringInfo key;            // JSON; null when nobody wants it, empty when there is none
};

struct PluginState {
  LogicalDecodingContext* context;
  EventHeader header;
  StreamOptions options;
  const Formatter* formatter;
  RelationPlans plans;
  MemoryContext arena;        // reset after each change
  int settings;               // nest level of the pinned settings; 0 when they hold for the session
  const char* secret;         // of our own messages; null without the extension
  std::string_view server;    // system identifier/timeline
  std::string_view database;  // percent-encoded
  std::string_view database_json;
  List* timelines;
  TransactionState transaction;
  XLogRecPtr change_lsn;
};

// --- Parts of events that formats share

// An event's id without its quotes.
void AppendId(const PluginState* state, EventBuffer* buffer);
void AppendInteger(EventBuffer* buffer, std::int64_t value);
void AppendLsn(EventBuffer* buffer, XLogRecPtr lsn);

// JSON that comes from elsewhere: as it is when every parser takes it, otherwise as a string.
void AppendJson(EventBuffer* buffer, std::string_view text);

// "reason":...,"schema":...,"table":...,"key":... of an event that cannot be written. The plan may
// be null; the key is JSON, or empty.
void AppendPoison(EventBuffer* buffer, const RelationPlan* plan, std::string_view key,
                  const char* reason);

enum class Unchanged {
  kOmit,  // listed by AppendColumnLists
  kPlaceholder,
};
// The row as an object of its columns; key_only: those of the key.
void AppendRow(const PluginState* state, EventBuffer* buffer, const RelationPlan* plan,
               const RowValues& row, bool key_only, Unchanged unchanged);
bool IsUnchanged(const ColumnPlan& column, const RowValues& row);
// ,"changed":[...],"unchanged":[...],"verbatim":[...] as far as there are any; verbatim is of the
// row that was appended last.
void AppendColumnLists(EventBuffer* buffer, const RowChange& change);

}  // namespace teamscale

// Logical messages that teamscale writes into the log, to be read by its own output plugin.
//
// Anybody may write a logical message with any prefix. Ours carry a secret in theirs, which is in a
// table that users cannot read: so nobody can forge a row or a DDL event.
//
//   prefix:   teamscale SECRET KIND      KIND: ddl, event or row
//   ddl:      JSON
//   event:    stream, topic, key, headers, payload: each its length (int32, -1: null) and its bytes
//   row:      stream (16 bytes), the table's OID (4 bytes), the flattened tuple
//
// stream: the id of the one that it is for; null: all of them.
//
// Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"
#include "teamscale/postgres/events/plugin_state.h"

namespace teamscale {

enum class OwnMessage { kNone, kDdl, kEvent, kRow };

// What a message is, by its prefix.
OwnMessage KindOfMessage(const char* prefix, const char* secret);

MessageParts ParseEventMessage(std::string_view bytes, std::string_view* stream);

constexpr int kStreamIdSize = 16;

struct RowMessage {
  std::string_view stream;
  Oid relation;
  std::string_view tuple;  // a HeapTupleHeader and its data
};
RowMessage ParseRowMessage(std::string_view bytes);

// Writes a transactional message of ours. Reads the secret once per call.
void EmitOwnMessage(const char* kind, std::string_view bytes);

}  // namespace teamscale

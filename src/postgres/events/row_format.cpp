// The row alone: an object of its columns. What has to be said besides is a member with the empty
// name, which no column can have:
//
//   {"id":7,"name":"web"}                                      inserted, read, or as updated
//   {"id":7,"":{"op":"update","unchanged":["note"],"before":{"id":6}}}
//   {"id":7,"":{"op":"delete"}}                                the old row, or its key
//   {"":{"op":"truncate"}}

#include "teamscale/postgres/events/plugin_state.h"

namespace teamscale {

namespace {

void Plan(const PluginState*, RelationPlan*, TupleDesc) {}

// Behind a row: its last brace becomes the beginning of the remarks.
void BeginRemarks(EventBuffer* buffer, EventKind kind) {
  bool empty = buffer->length() >= 2 && buffer->out()->data[buffer->length() - 2] == '{';
  buffer->CutTo(buffer->length() - 1);
  buffer->Append(empty ? "\"\":{\"op\":\"" : ",\"\":{\"op\":\"");
  buffer->Append(NameOf(kind));
  buffer->Append('"');
}

void Row(const PluginState* state, EventBuffer* buffer, const RowChange& change) {
  const RelationPlan* plan = change.plan;
  bool deleted = !change.has_new;
  AppendRow(state, buffer, plan, deleted ? plan->old_row : plan->new_row,
            deleted && !plan->old_row_whole, Unchanged::kOmit);
  if (buffer->spoilt()) return;
  int end = buffer->length();
  BeginRemarks(buffer, change.kind);
  int remarks = buffer->length();
  AppendColumnLists(buffer, change);
  bool old_key = change.kind == EventKind::kUpdate && change.has_old && !plan->keyless;
  if (old_key && !plan->old_row_whole) {
    buffer->Append(",\"before\":");
    AppendRow(state, buffer, plan, plan->old_row, true, Unchanged::kOmit);
  } else if (change.kind == EventKind::kUpdate && change.has_old && plan->old_row_whole) {
    buffer->Append(",\"before\":");
    AppendRow(state, buffer, plan, plan->old_row, false, Unchanged::kOmit);
  }
  if (plan->keyless && change.kind != EventKind::kInsert && change.kind != EventKind::kRead)
    buffer->Append(",\"keyless\":true");
  if (buffer->length() == remarks && !deleted) {
    // Nothing to say: the row alone.
    buffer->CutTo(end - 1);
    buffer->Append('}');
    return;
  }
  buffer->Append("}}");
}

void Truncate(const PluginState*, EventBuffer* buffer, const RelationPlan* plan) {
  buffer->Append("{\"\":{\"op\":\"truncate\"");
  if (!plan->is_root) {
    buffer->Append(",\"partition\":");
    WriteText(buffer, plan->leaf);
  }
  buffer->Append("}}");
}

void Marker(const PluginState*, EventBuffer* buffer, EventKind kind) {
  buffer->Append(kind == EventKind::kBegin ? "{\"\":{\"op\":\"begin\"}}"
                                           : "{\"\":{\"op\":\"commit\"}}");
}

void Ddl(const PluginState*, EventBuffer* buffer, std::string_view json) {
  buffer->Append("{\"\":{\"op\":\"ddl\",\"ddl\":");
  buffer->Append(json);
  buffer->Append("}}");
}

void Message(const PluginState*, EventBuffer* buffer, EventKind kind, const MessageParts& message) {
  buffer->Append("{\"\":{\"op\":\"");
  buffer->Append(NameOf(kind));
  buffer->Append("\",\"topic\":");
  WriteText(buffer, message.topic);
  if (message.key.data()) {
    buffer->Append(",\"key\":");
    WriteText(buffer, message.key);
  }
  if (message.headers.data()) {
    buffer->Append(",\"headers\":");
    AppendJson(buffer, message.headers);
  }
  if (message.payload.data()) {
    buffer->Append(",\"payload\":");
    if (kind == EventKind::kEvent) {
      AppendJson(buffer, message.payload);
    } else if (char* at = buffer->Reserve(core::JsonBase64Size(message.payload.size()))) {
      buffer->Advance(core::WriteJsonBase64(at, message.payload));
    }
  }
  buffer->Append("}}");
}

void Poison(const PluginState* state, EventBuffer* buffer, const RelationPlan* plan,
            std::string_view key, const char* reason) {
  buffer->Append("{\"\":{\"op\":\"poison\",\"id\":\"");
  AppendId(state, buffer);
  buffer->Append("\",");
  AppendPoison(buffer, plan, key, reason);
  buffer->Append("}}");
}

}  // namespace

const Formatter kRowFormatter = {.describe = nullptr,
                                 .plan = Plan,
                                 .row = Row,
                                 .truncate = Truncate,
                                 .marker = Marker,
                                 .ddl = Ddl,
                                 .message = Message,
                                 .poison = Poison};

}  // namespace teamscale

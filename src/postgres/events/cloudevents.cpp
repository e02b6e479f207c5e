// CloudEvents 1.0 in the structured JSON mode. A row's event:
//
//   {"specversion":"1.0","id":"...","time":"...","xid":"731","lsn":"0/19F2960",
//    "source":"/app/public/team","type":"teamscale.update","dataschema":"teamscale:5f0c...",
//    "data":{"key":{...},"before":{...},"after":{...},"changed":[...],"unchanged":[...]}}
//
// Extension attributes are strings: a CloudEvents integer has 32 bits. The commit LSN is in the id;
// without a datacontenttype the data is JSON.

#include "teamscale/postgres/events/plugin_state.h"
#include "teamscale/postgres/events/uri.h"

namespace teamscale {

namespace {

// What all events of a transaction have between the id and the LSN.
void Describe(TransactionState* transaction) {
  std::string_view time(transaction->time, transaction->time_length);
  // A message outside any transaction has no time.
  transaction->attributes_length =
      std::snprintf(transaction->attributes, sizeof(transaction->attributes),
                    "\"%s%.*s,\"xid\":\"%u\",\"lsn\":\"",
                    time.empty() ? "" : ",\"time\":", static_cast<int>(time.size()), time.data(),
                    transaction->xid);
}

void AppendAttributes(const PluginState* state, EventBuffer* buffer) {
  const TransactionState& transaction = state->transaction;
  constexpr std::string_view kStart = "{\"specversion\":\"1.0\",\"id\":\"";
  char* at = buffer->Reserve(kStart.size() + sizeof(transaction.id) + core::kJsonIntegerSize +
                             sizeof(transaction.attributes) + core::kLsnSize);
  if (!at) return;
  auto append = [&at](const char* bytes, std::size_t size) {
    std::memcpy(at, bytes, size);
    at += size;
  };
  append(kStart.data(), kStart.size());
  append(transaction.id, transaction.id_length);
  at = core::WriteJsonInteger(at, static_cast<std::int64_t>(transaction.ordinal));
  append(transaction.attributes, transaction.attributes_length);
  buffer->Advance(core::WriteLsn(at, state->change_lsn));
}

// For events of no table.
void AppendPlainHead(const PluginState* state, EventBuffer* buffer, std::string_view type) {
  AppendAttributes(state, buffer);
  buffer->Append("\",\"source\":\"/");
  buffer->Append(state->database);
  buffer->Append("\",\"type\":\"");
  buffer->Append(type);
  buffer->Append('"');
}

void Plan(const PluginState* state, RelationPlan* plan, TupleDesc) {
  constexpr EventKind kKinds[] = {EventKind::kInsert, EventKind::kUpdate, EventKind::kDelete,
                                  EventKind::kRead, EventKind::kTruncate};
  std::string_view source = PercentEncode(plan->schema);
  std::string_view table = PercentEncode(plan->table);
  for (EventKind kind : kKinds) {
    char* head = psprintf(
        "\",\"source\":\"/%s/%s/%s\",\"type\":\"teamscale.%s\",\"dataschema\":"
        "\"teamscale:%s\",\"data\":{\"key\":",
        state->database.data(), source.data(), table.data(), NameOf(kind), plan->version_text);
    plan->heads[static_cast<int>(kind)] = head;
  }
}

void Row(const PluginState* state, EventBuffer* buffer, const RowChange& change) {
  const RelationPlan* plan = change.plan;
  AppendAttributes(state, buffer);
  buffer->Append(plan->heads[static_cast<int>(change.kind)]);
  const RowValues& row = change.has_new ? plan->new_row : plan->old_row;
  if (plan->keyless)
    buffer->Append("null");
  else
    AppendRow(state, buffer, plan, row, true, Unchanged::kOmit);
  if (change.has_old && !(plan->keyless && !plan->old_row_whole)) {
    buffer->Append(",\"before\":");
    AppendRow(state, buffer, plan, plan->old_row, !plan->old_row_whole, Unchanged::kOmit);
  }
  if (change.has_new) {
    buffer->Append(",\"after\":");
    AppendRow(state, buffer, plan, plan->new_row, false, Unchanged::kOmit);
  }
  AppendColumnLists(buffer, change);
  if (plan->keyless && change.kind != EventKind::kInsert && change.kind != EventKind::kRead)
    buffer->Append(",\"keyless\":true");
  if (plan->leaf && state->options.leaf_names) {
    buffer->Append(",\"partition\":");
    WriteText(buffer, plan->leaf);
  }
  buffer->Append("}}");
}

void Truncate(const PluginState* state, EventBuffer* buffer, const RelationPlan* plan) {
  AppendAttributes(state, buffer);
  buffer->Append(plan->heads[static_cast<int>(EventKind::kTruncate)]);
  buffer->Append("null");
  if (!plan->is_root) {
    // Of a partition alone: whoever reads must not empty the whole table.
    buffer->Append(",\"partition\":");
    WriteText(buffer, plan->leaf);
  }
  buffer->Append("}}");
}

void Marker(const PluginState* state, EventBuffer* buffer, EventKind kind) {
  AppendPlainHead(state, buffer,
                  kind == EventKind::kBegin ? "teamscale.begin" : "teamscale.commit");
  buffer->Append('}');
}

void Ddl(const PluginState* state, EventBuffer* buffer, std::string_view json) {
  AppendPlainHead(state, buffer, "teamscale.ddl");
  buffer->Append(",\"data\":");
  buffer->Append(json);
  buffer->Append('}');
}

void Message(const PluginState* state, EventBuffer* buffer, EventKind kind,
             const MessageParts& message) {
  if (kind == EventKind::kMessage) {
    AppendPlainHead(state, buffer, "teamscale.message");
    buffer->Append(",\"data\":{\"prefix\":");
    WriteText(buffer, message.topic);
    buffer->Append(message.transactional ? ",\"transactional\":true,\"content\":"
                                         : ",\"transactional\":false,\"content\":");
    if (char* at = buffer->Reserve(core::JsonBase64Size(message.payload.size())))
      buffer->Advance(core::WriteJsonBase64(at, message.payload));
    buffer->Append("}}");
    return;
  }
  // The application's own event: its topic is the type.
  AppendAttributes(state, buffer);
  buffer->Append("\",\"source\":\"/");
  buffer->Append(state->database);
  buffer->Append("\",\"type\":");
  WriteText(buffer, message.topic);
  if (message.key.data()) {
    buffer->Append(",\"subject\":");
    WriteText(buffer, message.key);
  }
  if (message.headers.data()) {
    buffer->Append(",\"headers\":");
    WriteText(buffer, message.headers);
  }
  if (message.payload.data()) {
    buffer->Append(",\"data\":");
    AppendJson(buffer, message.payload);
  }
  buffer->Append('}');
}

void Poison(const PluginState* state, EventBuffer* buffer, const RelationPlan* plan,
            std::string_view key, const char* reason) {
  AppendPlainHead(state, buffer, "teamscale.poison");
  buffer->Append(",\"data\":{");
  AppendPoison(buffer, plan, key, reason);
  buffer->Append("}}");
}

}  // namespace

const Formatter kCloudEventsFormatter = {.describe = Describe,
                                         .plan = Plan,
                                         .row = Row,
                                         .truncate = Truncate,
                                         .marker = Marker,
                                         .ddl = Ddl,
                                         .message = Message,
                                         .poison = Poison};

}  // namespace teamscale

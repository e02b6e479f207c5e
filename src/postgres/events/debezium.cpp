// Debezium's envelope, as its consumers expect it:
//
//   {"before":{...},"after":{...},"source":{...},"transaction":null,"op":"u","ts_ms":1718000000000}
//
// Dates and times are ISO strings (its time.precision.mode isostring), numeric a string
// (decimal.handling.mode string), json a string. ts_ms is the commit's time, so that a replay gives
// the same bytes. An unchanged TOAST value is its placeholder. With schemas each message is
// {"schema":...,"payload":...}, as Kafka Connect's JsonConverter reads.

#include "teamscale/postgres/events/plugin_state.h"

extern "C" {
#include "utils/rel.h"
}

namespace teamscale {

namespace {

constexpr char kSourceFields[] =
    R"({"type":"struct","fields":[)"
    R"({"type":"string","optional":false,"field":"version"},)"
    R"({"type":"string","optional":false,"field":"connector"},)"
    R"({"type":"string","optional":false,"field":"name"},)"
    R"({"type":"string","optional":true,"field":"snapshot"},)"
    R"({"type":"string","optional":false,"field":"db"},)"
    R"({"type":"string","optional":true,"field":"schema"},)"
    R"({"type":"string","optional":true,"field":"table"},)"
    R"({"type":"int64","optional":false,"field":"ts_ms"},)"
    R"({"type":"string","optional":true,"field":"sequence"},)"
    R"({"type":"int64","optional":true,"field":"txId"},)"
    R"({"type":"int64","optional":true,"field":"lsn"},)"
    R"({"type":"int64","optional":true,"field":"xmin"},)"
    R"({"type":"string","optional":false,"field":"id"}],)"
    R"("optional":false,"name":"io.debezium.connector.postgresql.Source","field":"source"})";

struct ConnectType {
  const char* type;
  const char* name;  // the logical type; null: none
};

ConnectType ConnectTypeOf(const ValueStyle& style, ValueClass value_class) {
  switch (value_class) {
    case ValueClass::kBoolean:
      return {"boolean", nullptr};
    case ValueClass::kInt2:
      return {"int16", nullptr};
    case ValueClass::kInt4:
      return {"int32", nullptr};
    case ValueClass::kOid:
      return {"int64", nullptr};
    case ValueClass::kInt8:
      return {style.bigint == core::NumberForm::kString ? "string" : "int64", nullptr};
    case ValueClass::kFloat4:
      return {"float", nullptr};
    case ValueClass::kFloat8:
      return {"double", nullptr};
    case ValueClass::kNumeric:
      return {style.numeric == core::NumberForm::kString ? "string" : "double", nullptr};
    case ValueClass::kBytea:
      return {"bytes", nullptr};
    case ValueClass::kUuid:
      return {"string", "io.debezium.data.Uuid"};
    case ValueClass::kDate:
      return {"string", "io.debezium.time.IsoDate"};
    case ValueClass::kTime:
      return {"string", "io.debezium.time.IsoTime"};
    case ValueClass::kTimeTz:
      return {"string", "io.debezium.time.ZonedTime"};
    case ValueClass::kTimestamp:
      return {"string", "io.debezium.time.IsoTimestamp"};
    case ValueClass::kTimestampTz:
      return {"string", "io.debezium.time.ZonedTimestamp"};
    case ValueClass::kJson:
    case ValueClass::kJsonb:
      return {"string", "io.debezium.data.Json"};
    default:
      return {"string", nullptr};
  }
}

// The schema of a type without its closing brace, for the field's own members to follow.
void AppendType(StringInfo out, const ValueStyle& style, const TypePlan& type) {
  if (type.value_class == ValueClass::kArray) {
    appendStringInfoString(out, "{\"type\":\"array\",\"items\":");
    AppendType(out, style, *type.element);
    appendStringInfoString(out, ",\"optional\":true}");
    return;
  }
  if (type.value_class == ValueClass::kComposite) {
    appendStringInfoString(out, "{\"type\":\"struct\",\"fields\":[");
    for (int i = 0; i < type.field_count; ++i) {
      if (i > 0) appendStringInfoChar(out, ',');
      AppendType(out, style, type.fields[i].type);
      std::string_view name = type.fields[i].name;
      appendStringInfo(out, ",\"optional\":true,\"field\":%.*s}", static_cast<int>(name.size() - 2),
                       name.data() + 1);
    }
    appendStringInfoChar(out, ']');
    return;
  }
  ConnectType connect = ConnectTypeOf(style, type.value_class);
  appendStringInfo(out, "{\"type\":\"%s\"", connect.type);
  if (connect.name) appendStringInfo(out, ",\"name\":\"%s\",\"version\":1", connect.name);
}

// A struct of the table's columns, for the field before or after.
void AppendRowSchema(StringInfo out, const ValueStyle& style, const RelationPlan* plan,
                     const char* prefix, const char* field) {
  appendStringInfoString(out, "{\"type\":\"struct\",\"fields\":[");
  for (int i = 0; i < plan->column_count; ++i) {
    const ColumnPlan& column = plan->columns[i];
    if (i > 0) appendStringInfoChar(out, ',');
    AppendType(out, style, column.field.type);
    std::string_view name = column.field.name;
    appendStringInfo(out, ",\"optional\":%s,\"field\":%.*s}", column.key ? "false" : "true",
                     static_cast<int>(name.size() - 2), name.data() + 1);
  }
  appendStringInfo(out, "],\"optional\":true,\"name\":\"%s.Value\",\"field\":\"%s\"}", prefix,
                   field);
}

// An identifier within a JSON string, without its quotes.
const char* Escaped(std::string_view name) {
  auto* text = static_cast<char*>(palloc(core::JsonStringBound(name.size()) + 1));
  char* end = core::WriteJsonString(text, name);
  end[-1] = '\0';
  return text + 1;
}

void Plan(const PluginState* state, RelationPlan* plan, TupleDesc) {
  const char* schema = Escaped(plan->schema);
  const char* table = Escaped(plan->table);
  plan->heads[0] = psprintf(",\"schema\":\"%s\",\"table\":\"%s\",\"ts_ms\":", schema, table);
  if (!state->options.schemas) return;
  std::string_view quoted = state->database_json;
  const char* prefix =
      psprintf("%.*s.%s.%s", static_cast<int>(quoted.size() - 2), quoted.data() + 1, schema, table);
  StringInfoData out;
  initStringInfo(&out);
  appendStringInfoString(&out, "{\"schema\":{\"type\":\"struct\",\"fields\":[");
  AppendRowSchema(&out, state->options.style, plan, prefix, "before");
  appendStringInfoChar(&out, ',');
  AppendRowSchema(&out, state->options.style, plan, prefix, "after");
  appendStringInfo(&out,
                   ",%s,{\"type\":\"string\",\"optional\":true,\"field\":\"transaction\"},"
                   "{\"type\":\"string\",\"optional\":false,\"field\":\"op\"},"
                   "{\"type\":\"int64\",\"optional\":true,\"field\":\"ts_ms\"}],"
                   "\"optional\":false,\"name\":\"%s.Envelope\"},\"payload\":",
                   kSourceFields, prefix);
  plan->schema_json = {out.data, static_cast<std::size_t>(out.len)};
}

std::int64_t Milliseconds(TimestampTz time) {
  constexpr std::int64_t kEpoch = 946684800000;  // 2000-01-01
  std::int64_t milliseconds = time / 1000;
  if (time % 1000 < 0) --milliseconds;
  return milliseconds + kEpoch;
}

// plan null: no table.
void AppendSource(const PluginState* state, EventBuffer* buffer, const RelationPlan* plan,
                  bool snapshot) {
  const TransactionState& transaction = state->transaction;
  buffer->Append("\"source\":{\"version\":\"" TEAMSCALE_VERSION
                 "\",\"connector\":\"postgresql\",\"name\":");
  buffer->Append(state->database_json);
  buffer->Append(snapshot ? ",\"snapshot\":\"incremental\",\"db\":"
                          : ",\"snapshot\":\"false\",\"db\":");
  buffer->Append(state->database_json);
  buffer->Append(plan ? plan->heads[0]
                      : std::string_view(",\"schema\":null,\"table\":null,\"ts_ms\":"));
  AppendInteger(buffer, Milliseconds(transaction.commit_time));
  buffer->Append(",\"sequence\":\"[\\\"");
  AppendInteger(buffer, static_cast<std::int64_t>(transaction.commit_lsn));
  buffer->Append("\\\",\\\"");
  AppendInteger(buffer, static_cast<std::int64_t>(state->change_lsn));
  buffer->Append("\\\"]\",\"txId\":");
  AppendInteger(buffer, transaction.xid);
  buffer->Append(",\"lsn\":");
  AppendInteger(buffer, static_cast<std::int64_t>(state->change_lsn));
  buffer->Append(",\"xmin\":null,\"id\":\"");
  AppendId(state, buffer);
  buffer->Append("\"}");
}

void AppendTail(const PluginState* state, EventBuffer* buffer, std::string_view operation) {
  buffer->Append(",\"transaction\":null,\"op\":\"");
  buffer->Append(operation);
  buffer->Append("\",\"ts_ms\":");
  AppendInteger(buffer, Milliseconds(state->transaction.commit_time));
  buffer->Append('}');
}

const char* OperationOf(EventKind kind) {
  switch (kind) {
    case EventKind::kInsert:
      return "c";
    case EventKind::kUpdate:
      return "u";
    case EventKind::kDelete:
      return "d";
    case EventKind::kRead:
      return "r";
    default:
      return "t";
  }
}

void Begin(const PluginState* state, EventBuffer* buffer, const RelationPlan* plan) {
  if (state->options.schemas) buffer->Append(plan->schema_json);
}

void End(const PluginState* state, EventBuffer* buffer) {
  if (state->options.schemas) buffer->Append('}');
}

void Row(const PluginState* state, EventBuffer* buffer, const RowChange& change) {
  const RelationPlan* plan = change.plan;
  Begin(state, buffer, plan);
  buffer->Append("{\"before\":");
  if (change.has_old && !(plan->keyless && !plan->old_row_whole))
    AppendRow(state, buffer, plan, plan->old_row, !plan->old_row_whole, Unchanged::kPlaceholder);
  else
    buffer->Append("null");
  buffer->Append(",\"after\":");
  if (change.has_new)
    AppendRow(state, buffer, plan, plan->new_row, false, Unchanged::kPlaceholder);
  else
    buffer->Append("null");
  buffer->Append(',');
  AppendSource(state, buffer, plan, change.kind == EventKind::kRead);
  AppendTail(state, buffer, OperationOf(change.kind));
  End(state, buffer);
}

void Truncate(const PluginState* state, EventBuffer* buffer, const RelationPlan* plan) {
  Begin(state, buffer, plan);
  buffer->Append("{\"before\":null,\"after\":null,");
  AppendSource(state, buffer, plan, false);
  if (!plan->is_root && !state->options.schemas) {
    buffer->Append(",\"partition\":");
    WriteText(buffer, plan->leaf);
  }
  AppendTail(state, buffer, "t");
  End(state, buffer);
}

// As on Debezium's transaction topic.
void Marker(const PluginState* state, EventBuffer* buffer, EventKind kind) {
  buffer->Append(kind == EventKind::kBegin ? "{\"status\":\"BEGIN\",\"id\":\""
                                           : "{\"status\":\"END\",\"id\":\"");
  AppendInteger(buffer, state->transaction.xid);
  buffer->Append(':');
  AppendInteger(buffer, static_cast<std::int64_t>(state->transaction.commit_lsn));
  // Not counted: a reader that starts in the midst would be told another number.
  buffer->Append("\",\"event_count\":null,\"ts_ms\":");
  AppendInteger(buffer, Milliseconds(state->transaction.commit_time));
  buffer->Append('}');
}

// As on its schema history topic, with what we know.
void Ddl(const PluginState* state, EventBuffer* buffer, std::string_view json) {
  buffer->Append('{');
  AppendSource(state, buffer, nullptr, false);
  buffer->Append(",\"ts_ms\":");
  AppendInteger(buffer, Milliseconds(state->transaction.commit_time));
  buffer->Append(",\"databaseName\":");
  buffer->Append(state->database_json);
  buffer->Append(",\"change\":");
  buffer->Append(json);
  buffer->Append('}');
}

void Message(const PluginState* state, EventBuffer* buffer, EventKind kind,
             const MessageParts& message) {
  buffer->Append('{');
  AppendSource(state, buffer, nullptr, false);
  buffer->Append(",\"message\":{\"prefix\":");
  WriteText(buffer, message.topic);
  if (kind == EventKind::kEvent) {
    buffer->Append(",\"key\":");
    if (message.key.data())
      WriteText(buffer, message.key);
    else
      buffer->Append("null");
    buffer->Append(",\"headers\":");
    AppendJson(buffer, message.headers.data() ? message.headers : "null");
  }
  buffer->Append(message.transactional ? ",\"transactional\":true" : ",\"transactional\":false");
  buffer->Append(",\"content\":");
  std::string_view content = message.payload.data() ? message.payload : "";
  if (char* at = buffer->Reserve(core::JsonBase64Size(content.size())))
    buffer->Advance(core::WriteJsonBase64(at, content));
  buffer->Append('}');
  AppendTail(state, buffer, "m");
}

void Poison(const PluginState* state, EventBuffer* buffer, const RelationPlan* plan,
            std::string_view key, const char* reason) {
  buffer->Append('{');
  AppendSource(state, buffer, plan, false);
  buffer->Append(",\"poison\":{\"reason\":");
  WriteText(buffer, reason);
  buffer->Append(",\"key\":");
  buffer->Append(key.empty() ? "null" : key);
  buffer->Append('}');
  AppendTail(state, buffer, "poison");
}

}  // namespace

const Formatter kDebeziumFormatter = {.describe = nullptr,
                                      .plan = Plan,
                                      .row = Row,
                                      .truncate = Truncate,
                                      .marker = Marker,
                                      .ddl = Ddl,
                                      .message = Message,
                                      .poison = Poison};

}  // namespace teamscale

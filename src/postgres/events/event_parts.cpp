// What the formats share: ids, rows, lists of columns.

#include "teamscale/core/events/json_text.h"
#include "teamscale/postgres/events/plugin_state.h"

extern "C" {
#include "utils/rel.h"
}

namespace teamscale {

const char* NameOf(EventKind kind) {
  switch (kind) {
    case EventKind::kInsert:
      return "insert";
    case EventKind::kUpdate:
      return "update";
    case EventKind::kDelete:
      return "delete";
    case EventKind::kRead:
      return "read";
    case EventKind::kTruncate:
      return "truncate";
    case EventKind::kBegin:
      return "begin";
    case EventKind::kCommit:
      return "commit";
    case EventKind::kDdl:
      return "ddl";
    case EventKind::kEvent:
      return "event";
    case EventKind::kMessage:
      return "message";
    case EventKind::kPoison:
      return "poison";
  }
  pg_unreachable();
}

void AppendInteger(EventBuffer* buffer, std::int64_t value) {
  if (char* at = buffer->Reserve(core::kJsonIntegerSize))
    buffer->Advance(core::WriteJsonInteger(at, value));
}

void AppendLsn(EventBuffer* buffer, XLogRecPtr lsn) {
  if (char* at = buffer->Reserve(core::kLsnSize)) buffer->Advance(core::WriteLsn(at, lsn));
}

void AppendId(const PluginState* state, EventBuffer* buffer) {
  buffer->Append(state->transaction.id, state->transaction.id_length);
  AppendInteger(buffer, static_cast<std::int64_t>(state->transaction.ordinal));
}

void AppendJson(EventBuffer* buffer, std::string_view text) {
  if (core::ExamineJson(text) == core::JsonText::kPortable)
    buffer->Append(text);
  else
    WriteText(buffer, text);
}

void AppendPoison(EventBuffer* buffer, const RelationPlan* plan, std::string_view key,
                  const char* reason) {
  buffer->Append("\"reason\":");
  WriteText(buffer, reason);
  if (plan) {
    buffer->Append(",\"schema\":");
    WriteText(buffer, plan->schema);
    buffer->Append(",\"table\":");
    WriteText(buffer, plan->table);
  }
  buffer->Append(",\"key\":");
  buffer->Append(key.empty() ? "null" : key);
}

bool IsUnchanged(const ColumnPlan& column, const RowValues& row) {
  int index = column.field.index;
  return column.field.type.varlena && !row.nulls[index] &&
         VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(row.values[index]));
}

void AppendRow(const PluginState* state, EventBuffer* buffer, const RelationPlan* plan,
               const RowValues& row, bool key_only, Unchanged unchanged) {
  bool first = true;
  buffer->Append('{');
  for (int i = 0; i < plan->column_count; ++i) {
    ColumnPlan& column = plan->columns[i];
    column.verbatim = false;
    if (key_only && !column.key) continue;
    bool missing = IsUnchanged(column, row);
    if (missing && unchanged == Unchanged::kOmit) continue;
    std::string_view name = first ? column.field.name.substr(1) : column.field.name;
    first = false;
    if (row.nulls[column.field.index]) {
      buffer->Append(name);
      buffer->Append("null");
    } else if (missing) {
      buffer->Append(name);
      buffer->Append("\"__debezium_unavailable_value\"");
    } else {
      column.verbatim = WriteField(buffer, state->options.style, name, &column.field.type,
                                   row.values[column.field.index]);
    }
  }
  buffer->Append('}');
}

namespace {

// ,"name":["column",...] of those columns that the condition holds for; nothing when for none.
template <typename Holds>
void AppendColumns(EventBuffer* buffer, std::string_view name, const RelationPlan* plan,
                   Holds&& holds) {
  bool any = false;
  for (int i = 0; i < plan->column_count; ++i) {
    const ColumnPlan& column = plan->columns[i];
    if (!holds(column)) continue;
    if (any) {
      buffer->Append(',');
    } else {
      buffer->Append(name);
    }
    any = true;
    std::string_view quoted = column.field.name;
    buffer->Append(quoted.substr(1, quoted.size() - 2));
  }
  if (any) buffer->Append(']');
}

}  // namespace

void AppendColumnLists(EventBuffer* buffer, const RowChange& change) {
  const RelationPlan* plan = change.plan;
  if (change.kind == EventKind::kUpdate && change.has_old && plan->old_row_whole)
    AppendColumns(buffer, ",\"changed\":[", plan, [&](const ColumnPlan& column) {
      return ColumnChanged(plan, change.relation, &column);
    });
  if (change.kind == EventKind::kUpdate)
    AppendColumns(buffer, ",\"unchanged\":[", plan,
                  [&](const ColumnPlan& column) { return IsUnchanged(column, plan->new_row); });
  AppendColumns(buffer, ",\"verbatim\":[", plan,
                [](const ColumnPlan& column) { return column.verbatim; });
}

}  // namespace teamscale

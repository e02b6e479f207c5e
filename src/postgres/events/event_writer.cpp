#include "teamscale/postgres/events/event_writer.h"

#include "teamscale/postgres/boundary/hidden_changes.h"
#include "teamscale/postgres/boundary/wait_point.h"
#include "teamscale/postgres/events/careful_transactions.h"
#include "teamscale/postgres/events/row_filter.h"
#include "teamscale/postgres/events/stream_messages.h"

extern "C" {
#include "access/htup_details.h"
#include "access/timeline.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "replication/origin.h"
#include "replication/slot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
}

namespace teamscale {

namespace {

int max_event_size = 1000 * 1024;  // kB

std::size_t EventLimit() { return std::size_t{1024} * static_cast<std::size_t>(max_event_size); }

// --- The transaction
// ------------------------------------------------------------------------------

// The pieces that all events of the transaction have: made once there is one.
void DescribeTransaction(PluginState* state) {
  TransactionState& transaction = state->transaction;
  transaction.described = true;
  TimeLineID timeline = tliOfPointInHistory(transaction.commit_lsn, state->timelines);
  char lsn[core::kLsnSize];
  auto length = static_cast<int>(core::WriteLsn(lsn, transaction.commit_lsn) - lsn);
  transaction.id_length =
      std::snprintf(transaction.id, sizeof(transaction.id),
                    "%llu/%u:%.*s:", static_cast<unsigned long long>(GetSystemIdentifier()),
                    timeline, length, lsn);
  if (transaction.commit_time != 0)
    transaction.time_length = static_cast<int>(
        core::WriteJsonTimestampWithZone(transaction.time, transaction.commit_time) -
        transaction.time);
  if (state->formatter->describe) state->formatter->describe(&transaction);
}

// Whether the reader has not got it yet.
bool Wanted(const PluginState* state) {
  const TransactionState& transaction = state->transaction;
  return core::StreamPoint{.lsn = transaction.commit_lsn, .ordinal = transaction.ordinal} >=
         state->options.start;
}

// Whether the reader starts in the midst of the transaction: it has had an event of it.
bool Begun(const PluginState* state) {
  return state->options.start.lsn == state->transaction.commit_lsn &&
         state->options.start.ordinal > 0;
}

// --- One event
// ------------------------------------------------------------------------------------

void WriteKey(PluginState* state, const RelationPlan* plan, const RowValues& row) {
  StringInfo key = state->header.key;
  if (!key || !plan || plan->keyless) return;
  EventBuffer buffer(key, EventLimit());
  AppendRow(state, &buffer, plan, row, true, Unchanged::kOmit);
  if (buffer.spoilt()) buffer.Restart();
}

// The buffer's event, or a poison event in its place, goes to the reader.
void Send(PluginState* state, EventBuffer* buffer) {
  if (buffer->spoilt()) {
    const char* reason = buffer->reason();
    buffer->Restart();
    state->header.kind = EventKind::kPoison;
    std::string_view key;
    if (state->header.key && state->header.key->len > 0)
      key = {state->header.key->data, static_cast<std::size_t>(state->header.key->len)};
    state->formatter->poison(state, buffer, state->header.plan, key, reason);
  }
  buffer->Terminate();
  ++state->transaction.written;
  OutputPluginWrite(state->context, true);
}

void BeginEvent(PluginState* state, EventKind kind, const RelationPlan* plan) {
  if (!state->transaction.described) DescribeTransaction(state);
  state->header.kind = kind;
  state->header.plan = plan;
  state->header.topic = {};
  if (state->header.key) resetStringInfo(state->header.key);
}

void WriteMarker(PluginState* state, EventKind kind) {
  BeginEvent(state, kind, nullptr);
  OutputPluginPrepareWrite(state->context, true);
  EventBuffer buffer(state->context->out, EventLimit());
  state->formatter->marker(state, &buffer, kind);
  std::uint64_t written = state->transaction.written;
  Send(state, &buffer);
  state->transaction.written = written;
}

// The marker is written when there is an event for it to stand before. A reader that starts behind
// it has got it.
void WriteBeginMarker(PluginState* state) {
  TransactionState& transaction = state->transaction;
  if (!state->options.transactions || transaction.written > 0) return;
  std::uint64_t ordinal = transaction.ordinal;
  transaction.ordinal = 0;
  if (Wanted(state)) WriteMarker(state, EventKind::kBegin);
  transaction.ordinal = ordinal;
}

// In the place of an event that failed in the careful mode.
void WritePoison(PluginState* state, const char* reason) {
  BeginEvent(state, EventKind::kPoison, nullptr);
  WriteBeginMarker(state);
  BeginEvent(state, EventKind::kPoison, nullptr);
  OutputPluginPrepareWrite(state->context, true);
  EventBuffer buffer(state->context->out, EventLimit());
  state->formatter->poison(state, &buffer, nullptr, {}, reason);
  Send(state, &buffer);
}

// In a subtransaction, so that its error is the event's alone. Gives the error's message, or null.
template <typename F>
const char* AttemptInSubtransaction(F&& body) {
  MemoryContext context = CurrentMemoryContext;
  ResourceOwner owner = CurrentResourceOwner;
  const char* volatile message = nullptr;
  BeginInternalSubTransaction(nullptr);
  MemoryContextSwitchTo(context);
  PG_TRY();
  {
    body();
    ReleaseCurrentSubTransaction();
  }
  PG_CATCH();
  {
    MemoryContextSwitchTo(context);
    ErrorData* error = CopyErrorData();
    FlushErrorState();
    RollbackAndReleaseCurrentSubTransaction();
    MemoryContextSwitchTo(context);
    CurrentResourceOwner = owner;
    if (!WouldComeAgain(error->sqlerrcode)) ReThrowError(error);
    message = error->message ? error->message : "an error without a message";
  }
  PG_END_TRY();
  MemoryContextSwitchTo(context);
  CurrentResourceOwner = owner;
  return message;
}

// format makes the event in the output buffer and tells whether there is one.
template <typename F>
void Publish(PluginState* state, F&& format) {
  TransactionState& transaction = state->transaction;
  MemoryContext caller = MemoryContextSwitchTo(state->arena);
  if (transaction.careful) {
    bool has_event = false;
    EventBuffer buffer(state->context->out, EventLimit());
    const char* failure = AttemptInSubtransaction([&] { has_event = format(&buffer); });
    if (failure)
      WritePoison(state, failure);
    else if (has_event)
      Send(state, &buffer);
  } else {
    PG_TRY();
    {
      EventBuffer buffer(state->context->out, EventLimit());
      if (format(&buffer)) Send(state, &buffer);
    }
    PG_CATCH();
    {
      if (WouldComeAgain(geterrcode()) && MyReplicationSlot)
        RememberFailure(ReplicationSlotIndex(MyReplicationSlot), transaction.commit_lsn);
      PG_RE_THROW();
    }
    PG_END_TRY();
  }
  MemoryContextSwitchTo(caller);
  MemoryContextReset(state->arena);
}

// Opens the output buffer for an event.
void Open(PluginState* state, EventBuffer* buffer, EventKind kind, const RelationPlan* plan) {
  BeginEvent(state, kind, plan);
  WriteBeginMarker(state);
  BeginEvent(state, kind, plan);
  OutputPluginPrepareWrite(state->context, true);
  *buffer = EventBuffer(state->context->out, EventLimit());
}

// --- Rows
// -----------------------------------------------------------------------------------------

void Deform(HeapTuple tuple, Relation relation, const RowValues& row) {
  heap_deform_tuple(tuple, RelationGetDescr(relation), row.values, row.nulls);
}

void MakeNull(Relation relation, const RowValues& row) {
  memset(row.nulls, true, RelationGetDescr(relation)->natts);
}

// Values that the new row leaves where they are, taken from a whole old row.
void CompleteNewRow(const RelationPlan* plan) {
  for (int i = 0; i < plan->column_count; ++i) {
    const ColumnPlan& column = plan->columns[i];
    if (IsUnchanged(column, plan->new_row))
      plan->new_row.values[column.field.index] = plan->old_row.values[column.field.index];
  }
}

bool Matches(const RelationPlan* plan, const RowValues& row) {
  for (int i = 0; i < plan->column_count; ++i)
    if (IsUnchanged(plan->columns[i], row)) return true;  // what cannot be judged is published
  return RowMatches(plan->filter, row);
}

// As a publication does it: an UPDATE by which a row comes into the stream is an insert, one by
// which it leaves is a delete. False: nothing of it is the stream's.
bool FilterRow(RowChange* change) {
  const RelationPlan* plan = change->plan;
  if (!plan->filter) return true;
  bool judge_old = change->has_old && CanJudgeOldRows(plan->filter, change->relation);
  switch (change->kind) {
    case EventKind::kDelete:
      return !judge_old || Matches(plan, plan->old_row);
    case EventKind::kUpdate: {
      bool now = Matches(plan, plan->new_row);
      if (!judge_old) return now;
      bool before = Matches(plan, plan->old_row);
      if (now && !before) {
        change->kind = EventKind::kInsert;
        change->has_old = false;
      } else if (before && !now) {
        change->kind = EventKind::kDelete;
        change->has_new = false;
      }
      return now || before;
    }
    default:
      return Matches(plan, plan->new_row);
  }
}

RelationPlan* PlanOf(PluginState* state, Relation relation) {
  bool built;
  RelationPlan* plan = state->plans.Find(relation, &built);
  if (built && plan->published) {
    MemoryContext caller = MemoryContextSwitchTo(plan->context);
    state->formatter->plan(state, plan, RelationGetDescr(relation));
    MemoryContextSwitchTo(caller);
  }
  return plan;
}

bool FormatRow(PluginState* state, EventBuffer* buffer, RowChange* change) {
  if (!FilterRow(change)) return false;
  Open(state, buffer, change->kind, change->plan);
  WriteKey(state, change->plan, change->has_new ? change->plan->new_row : change->plan->old_row);
  state->formatter->row(state, buffer, *change);
  return true;
}

bool FormatChange(PluginState* state, EventBuffer* buffer, Relation relation,
                  const ReorderBufferChange* change) {
  RelationPlan* plan = PlanOf(state, relation);
  if (!plan->published) return false;
  RowChange row = {.kind = EventKind::kInsert,
                   .relation = relation,
                   .plan = plan,
                   .has_old = change->data.tp.oldtuple != nullptr,
                   .has_new = change->data.tp.newtuple != nullptr};
  if (change->action == REORDER_BUFFER_CHANGE_UPDATE) row.kind = EventKind::kUpdate;
  if (change->action == REORDER_BUFFER_CHANGE_DELETE) row.kind = EventKind::kDelete;
  if (row.has_old)
    Deform(&change->data.tp.oldtuple->tuple, relation, plan->old_row);
  else if (!row.has_new)
    MakeNull(relation, plan->old_row);
  if (row.has_new) Deform(&change->data.tp.newtuple->tuple, relation, plan->new_row);
  if (row.has_new && row.has_old && plan->old_row_whole) CompleteNewRow(plan);
  return FormatRow(state, buffer, &row);
}

bool IsFor(const PluginState* state, std::string_view stream) {
  return state->options.stream_id && stream == state->options.stream_id;
}

// A row that snapshot_events() wrote into the log.
bool FormatSnapshotRow(PluginState* state, EventBuffer* buffer, const RowMessage& message) {
  if (!IsFor(state, message.stream)) return false;
  Relation relation = RelationIdGetRelation(message.relation);
  if (!RelationIsValid(relation)) return false;
  RelationPlan* plan = PlanOf(state, relation);
  bool has_event = false;
  if (plan->published) {
    HeapTupleData tuple = {};
    auto* aligned = static_cast<char*>(palloc(message.tuple.size()));
    memcpy(aligned, message.tuple.data(), message.tuple.size());
    tuple.t_len = static_cast<uint32>(message.tuple.size());
    tuple.t_data = reinterpret_cast<HeapTupleHeader>(aligned);
    Deform(&tuple, relation, plan->new_row);
    RowChange row = {.kind = EventKind::kRead,
                     .relation = relation,
                     .plan = plan,
                     .has_old = false,
                     .has_new = true};
    has_event = FormatRow(state, buffer, &row);
  }
  RelationClose(relation);
  return has_event;
}

// Whether the stream leaves it out because of where it came from.
bool FromElsewhere(const PluginState* state, RepOriginId origin) {
  return origin == kHiddenChanges || (state->options.local_only && origin != InvalidRepOriginId);
}

bool IsListed(int count, Relation relations[], Oid relation) {
  for (int i = 0; i < count; ++i)
    if (RelationGetRelid(relations[i]) == relation) return true;
  return false;
}

bool HasPrefix(const PluginState* state, const char* prefix) {
  ListCell* cell;
  foreach (cell, state->options.prefixes) {
    const char* wanted = static_cast<char*>(lfirst(cell));
    if (strcmp(wanted, "*") == 0 || strcmp(wanted, prefix) == 0) return true;
  }
  return false;
}

bool FormatMessage(PluginState* state, EventBuffer* buffer, OwnMessage kind, const char* prefix,
                   std::string_view message, bool transactional) {
  switch (kind) {
    case OwnMessage::kRow:
      return FormatSnapshotRow(state, buffer, ParseRowMessage(message));
    case OwnMessage::kDdl:
      if (!state->options.ddl) return false;
      Open(state, buffer, EventKind::kDdl, nullptr);
      state->formatter->ddl(state, buffer, message);
      return true;
    case OwnMessage::kEvent: {
      std::string_view stream;
      MessageParts parts = ParseEventMessage(message, &stream);
      if (!state->options.events || (stream.data() && !IsFor(state, stream))) return false;
      Open(state, buffer, EventKind::kEvent, nullptr);
      state->header.topic = parts.topic;
      if (state->header.key && parts.key.data()) {
        EventBuffer key(state->header.key, EventLimit());
        WriteText(&key, parts.key);
      }
      state->formatter->message(state, buffer, EventKind::kEvent, parts);
      return true;
    }
    case OwnMessage::kNone:
      break;
  }
  if (!HasPrefix(state, prefix)) return false;
  Open(state, buffer, EventKind::kMessage, nullptr);
  state->header.topic = prefix;
  state->formatter->message(state, buffer, EventKind::kMessage,
                            {.topic = prefix,
                             .key = {},
                             .headers = {},
                             .payload = message,
                             .transactional = transactional});
  return true;
}

}  // namespace

void InitEventWriter() {
  DefineCustomIntVariable("teamscale.max_event_size",
                          "How large one change event may be; a larger one becomes a poison event.",
                          nullptr, &max_event_size, max_event_size, 1, 1000 * 1024, PGC_SUSET,
                          GUC_UNIT_KB, nullptr, nullptr, nullptr);
}

void BeginTransaction(PluginState* state, const ReorderBufferTXN* transaction) {
  state->transaction = {};
  state->transaction.commit_lsn = transaction->final_lsn;
  state->transaction.end_lsn = transaction->end_lsn;
  state->transaction.commit_time = transaction->xact_time.commit_time;
  state->transaction.xid = transaction->xid;
  state->transaction.careful =
      MyReplicationSlot &&
      FailedBefore(ReplicationSlotIndex(MyReplicationSlot), transaction->final_lsn);
}

void EndTransaction(PluginState* state) {
  TransactionState& transaction = state->transaction;
  bool written = transaction.written > 0;
  if ((written || Begun(state)) && state->options.transactions) {
    ++transaction.ordinal;
    state->change_lsn = transaction.commit_lsn;
    if (Wanted(state)) WriteMarker(state, EventKind::kCommit);
  }
  // Also tells the other side of a walsender how far the log is read, when there is nothing to say.
  OutputPluginUpdateProgress(state->context, !written);
}

void WriteChange(PluginState* state, Relation relation, const ReorderBufferChange* change) {
  ++state->transaction.ordinal;
  if (!Wanted(state) || FromElsewhere(state, change->origin_id)) return;
  state->change_lsn = change->lsn;
  TEAMSCALE_WAIT_POINT("event decoded");
  Publish(state,
          [&](EventBuffer* buffer) { return FormatChange(state, buffer, relation, change); });
}

void WriteTruncate(PluginState* state, int count, Relation relations[],
                   const ReorderBufferChange* change) {
  for (int i = 0; i < count; ++i) {
    Relation relation = relations[i];
    ++state->transaction.ordinal;
    if (!Wanted(state) || FromElsewhere(state, change->origin_id)) continue;
    state->change_lsn = change->lsn;
    Publish(state, [&](EventBuffer* buffer) {
      RelationPlan* plan = PlanOf(state, relation);
      if (!plan->published) return false;
      bool with_root = !plan->is_root && IsListed(count, relations, plan->root);
      bool hollow = state->options.leaf_names && relation->rd_rel->relkind != RELKIND_RELATION;
      if (with_root || hollow) return false;
      Open(state, buffer, EventKind::kTruncate, plan);
      state->formatter->truncate(state, buffer, plan);
      return true;
    });
  }
}

void WriteMessage(PluginState* state, const ReorderBufferTXN* transaction, XLogRecPtr lsn,
                  const char* prefix, std::string_view message) {
  OwnMessage kind = KindOfMessage(prefix, state->secret);
  if (!transaction) {
    // It stands by itself, at its own LSN, which is no transaction's.
    state->transaction = {};
    state->transaction.commit_lsn = lsn;
    state->transaction.end_lsn = lsn;
    kind = OwnMessage::kNone;
  } else {
    ++state->transaction.ordinal;
    if (state->options.local_only && transaction->origin_id != InvalidRepOriginId) return;
  }
  if (!Wanted(state)) return;
  state->change_lsn = lsn;
  Publish(state, [&](EventBuffer* buffer) {
    return FormatMessage(state, buffer, kind, prefix, message, transaction != nullptr);
  });
}

}  // namespace teamscale

// read_log(): the events of a stream from a point on, out of this node's slot, in SQL.

#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/events/careful_transactions.h"
#include "teamscale/postgres/events/plugin_state.h"
#include "teamscale/postgres/events/slot.h"

extern "C" {
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlogutils.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "replication/decode.h"
#include "replication/logical.h"
#include "replication/slot.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/pg_lsn.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"
}

namespace teamscale {

namespace {

constexpr int kColumns = 13;
// Ends a decoding in the middle of a transaction: raised by us and caught by us.
constexpr int kEnough = MAKE_SQLSTATE('T', 'S', 'E', 'N', 'O');

struct Reader {
  TupleDesc descriptor;
  Tuplestorestate* store;
  std::int64_t limit;
  std::int64_t count;
  StringInfoData key;
  // The last event waits until it is known whether it is its transaction's last: then a reader
  // that has it goes on behind the transaction.
  bool held;
  MemoryContext held_context;
  Datum values[kColumns];
  bool nulls[kColumns];
  bool enough;
};

constexpr int kNextLsn = 2;
constexpr int kNextOrdinal = 3;

PluginState* StateOf(LogicalDecodingContext* context) {
  return static_cast<PluginState*>(context->output_plugin_private);
}

void Release(Reader* reader) {
  if (!reader->held) return;
  tuplestore_putvalues(reader->store, reader->descriptor, reader->values, reader->nulls);
  reader->held = false;
  ++reader->count;
  MemoryContextReset(reader->held_context);
}

Datum TextOrNull(const char* text, bool* is_null) {
  *is_null = text == nullptr;
  return text ? CStringGetTextDatum(text) : Datum{0};
}

Datum TextOf(std::string_view text, bool* is_null) {
  *is_null = text.data() == nullptr;
  return text.data()
             ? PointerGetDatum(cstring_to_text_with_len(text.data(), static_cast<int>(text.size())))
             : Datum{0};
}

void PrepareWrite(LogicalDecodingContext* context, XLogRecPtr, TransactionId, bool) {
  resetStringInfo(context->out);
}

void Write(LogicalDecodingContext* context, XLogRecPtr, TransactionId, bool) {
  auto* reader = static_cast<Reader*>(context->output_writer_private);
  Release(reader);
  if (reader->count >= reader->limit) {
    reader->enough = true;
    ereport(ERROR, (errcode(kEnough), errmsg("enough events")));
  }
  const PluginState* state = StateOf(context);
  const TransactionState& transaction = state->transaction;
  const RelationPlan* plan = state->header.plan;
  MemoryContext caller = MemoryContextSwitchTo(reader->held_context);
  Datum* values = reader->values;
  bool* nulls = reader->nulls;
  memset(nulls, false, kColumns);
  values[0] = LSNGetDatum(transaction.commit_lsn);
  values[1] = Int64GetDatum(static_cast<std::int64_t>(transaction.ordinal));
  values[kNextLsn] = LSNGetDatum(transaction.commit_lsn);
  values[kNextOrdinal] = Int64GetDatum(static_cast<std::int64_t>(transaction.ordinal) + 1);
  values[4] = TimestampTzGetDatum(transaction.commit_time);
  nulls[4] = transaction.commit_time == 0;
  values[5] = Int64GetDatum(transaction.xid);
  values[6] = TextOrNull(NameOf(state->header.kind), &nulls[6]);
  values[7] = TextOrNull(plan ? plan->schema : nullptr, &nulls[7]);
  values[8] = TextOrNull(plan ? plan->table : nullptr, &nulls[8]);
  values[9] = TextOf(state->header.topic, &nulls[9]);
  std::string_view key;
  if (reader->key.len > 0) key = {reader->key.data, static_cast<std::size_t>(reader->key.len)};
  values[10] = TextOf(key, &nulls[10]);
  values[11] = CStringGetTextDatum(psprintf("%.*s%llu", transaction.id_length, transaction.id,
                                            static_cast<unsigned long long>(transaction.ordinal)));
  values[12] =
      TextOf({context->out->data, static_cast<std::size_t>(context->out->len)}, &nulls[12]);
  MemoryContextSwitchTo(caller);
  reader->held = true;
}

// The plugin calls it at each commit.
void Committed(LogicalDecodingContext* context, XLogRecPtr, TransactionId, bool) {
  auto* reader = static_cast<Reader*>(context->output_writer_private);
  if (!reader->held) return;
  reader->values[kNextLsn] = LSNGetDatum(StateOf(context)->transaction.end_lsn);
  reader->values[kNextOrdinal] = Int64GetDatum(0);
  Release(reader);
}

List* OptionsOf(const char* stream, XLogRecPtr lsn, std::int64_t ordinal) {
  auto option = [](const char* name, const char* value) {
    return makeDefElem(pstrdup(name), reinterpret_cast<Node*>(makeString(pstrdup(value))), -1);
  };
  char text[core::kLsnSize + 1];
  *core::WriteLsn(text, lsn) = '\0';
  return list_make2(option("stream", stream),
                    option("start", psprintf("%s:%lld", text, static_cast<long long>(ordinal))));
}

// Waits for the log to grow. False when the time is over.
bool WaitForLog(TimestampTz deadline) {
  constexpr long kNap = 20;  // ms: nothing tells a backend that the log has been flushed
  long left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);
  if (left <= 0) return false;
  WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, left < kNap ? left : kNap,
            PG_WAIT_EXTENSION);
  ResetLatch(MyLatch);
  CHECK_FOR_INTERRUPTS();
  return true;
}

// Decodes until there are enough events, or some and the log's end is reached, or the time is over.
// Gives how far the log is read.
XLogRecPtr Decode(LogicalDecodingContext* context, Reader* reader, TimestampTz deadline) {
  XLogBeginRead(context->reader, MyReplicationSlot->data.restart_lsn);
  InvalidateSystemCaches();
  XLogRecPtr end = GetFlushRecPtr(nullptr);
  while (true) {
    while (context->reader->EndRecPtr < end) {
      char* error = nullptr;
      XLogRecord* record = XLogReadRecord(context->reader, &error);
      if (error)
        ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                        errmsg("could not read the log for an event stream: %s", error)));
      if (record) LogicalDecodingProcessRecord(context, context->reader);
      if (reader->count >= reader->limit) return context->reader->EndRecPtr;
      CHECK_FOR_INTERRUPTS();
    }
    if (reader->count > 0 || !WaitForLog(deadline)) return context->reader->EndRecPtr;
    end = GetFlushRecPtr(nullptr);
  }
}

struct Request {
  const char* slot;
  const char* stream;
  XLogRecPtr released;  // what the slot need not keep: committed in the catalog
  XLogRecPtr lsn;
  std::int64_t ordinal;
  TimestampTz deadline;
};

// One attempt. Gives how far the log was read; invalid when it ended within a transaction.
XLogRecPtr Attempt(const Request& request, Reader* reader) {
  ResourceOwner owner = CurrentResourceOwner;
  MemoryContext caller = CurrentMemoryContext;
  volatile XLogRecPtr read = InvalidXLogRecPtr;
  ReplicationSlotAcquire(request.slot, true);
  PG_TRY();
  {
    if (request.released > MyReplicationSlot->data.confirmed_flush)
      LogicalConfirmReceivedLocation(request.released);
    LogicalDecodingContext* context = CreateDecodingContext(
        InvalidXLogRecPtr, OptionsOf(request.stream, request.lsn, request.ordinal), false,
        &local_log, PrepareWrite, Write, Committed);
    context->output_writer_private = reader;
    StateOf(context)->header.key = &reader->key;
    MemoryContextSwitchTo(caller);
    read = Decode(context, reader, request.deadline);
    // The decoding leaves another owner behind.
    CurrentResourceOwner = owner;
    FreeDecodingContext(context);
    ReplicationSlotRelease();
    InvalidateSystemCaches();
  }
  PG_CATCH();
  {
    InvalidateSystemCaches();
    if (MyReplicationSlot) ReplicationSlotRelease();
    PG_RE_THROW();
  }
  PG_END_TRY();
  return read;
}

// An attempt in a subtransaction, so that what ends it in the middle does not end the caller.
XLogRecPtr Read(const Request& request, Reader* reader) {
  MemoryContext caller = CurrentMemoryContext;
  ResourceOwner owner = CurrentResourceOwner;
  volatile XLogRecPtr read = InvalidXLogRecPtr;
  volatile bool again = false;
  BeginInternalSubTransaction(nullptr);
  MemoryContextSwitchTo(caller);
  PG_TRY();
  {
    read = Attempt(request, reader);
    ReleaseCurrentSubTransaction();
  }
  PG_CATCH();
  {
    MemoryContextSwitchTo(caller);
    ErrorData* error = CopyErrorData();
    FlushErrorState();
    RollbackAndReleaseCurrentSubTransaction();
    MemoryContextSwitchTo(caller);
    CurrentResourceOwner = owner;
    // An event that fails is remembered: what came before it is given, or the next attempt writes
    // a poison event in its place.
    bool poisoned = !reader->enough && WouldComeAgain(error->sqlerrcode);
    if (reader->held) Release(reader);
    if (!reader->enough && !(poisoned && reader->count > 0)) {
      again = poisoned;
      if (!poisoned) ReThrowError(error);
    }
    FreeErrorData(error);
  }
  PG_END_TRY();
  MemoryContextSwitchTo(caller);
  CurrentResourceOwner = owner;
  return again ? Attempt(request, reader) : read;
}

}  // namespace

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_read_log) {
  using namespace teamscale;
  CheckSlotRequirements();
  CheckLogicalDecodingRequirements();
  InitMaterializedSRF(fcinfo, 0);
  auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  Reader reader = {};
  reader.descriptor = result->setDesc;
  reader.store = result->setResult;
  reader.limit = PG_GETARG_INT32(5);
  reader.held_context =
      AllocSetContextCreate(CurrentMemoryContext, "teamscale held event", ALLOCSET_DEFAULT_SIZES);
  initStringInfo(&reader.key);
  Request request = {
      .slot = text_to_cstring(PG_GETARG_TEXT_PP(0)),
      .stream = text_to_cstring(PG_GETARG_TEXT_PP(1)),
      .released = PG_GETARG_LSN(2),
      .lsn = PG_GETARG_LSN(3),
      .ordinal = PG_GETARG_INT64(4),
      .deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), PG_GETARG_INT32(6))};
  XLogRecPtr read = Read(request, &reader);
  if (read != InvalidXLogRecPtr) {
    // The last row is no event: it says how far the log was read.
    Datum values[kColumns] = {};
    bool nulls[kColumns];
    memset(nulls, true, kColumns);
    values[kNextLsn] = LSNGetDatum(read);
    values[kNextOrdinal] = Int64GetDatum(0);
    nulls[kNextLsn] = nulls[kNextOrdinal] = false;
    tuplestore_putvalues(reader.store, reader.descriptor, values, nulls);
  }
  return Datum{0};
}

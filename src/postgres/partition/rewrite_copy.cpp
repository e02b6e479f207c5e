// Phases copying and checking.
//
// A source is read in the order of its blocks, some of them in each transaction. Its rows are
// locked before they are copied, against writers that would not find the copy. Rows that somebody
// else has locked are left out, and so the blocks are not done: they are read again later, and then
// only for rows that the destination has not got. (What was written since is there by the mirror;
// what is gone is gone.) So it ends, however busy the writers are.
//
// Blocks are counted in one file. When the source has got another (VACUUM FULL, TRUNCATE), rows are
// elsewhere, and all blocks count as not copied.
#include <algorithm>

#include "teamscale/postgres/boundary/hidden_changes.h"
#include "teamscale/postgres/boundary/wait_point.h"
#include "teamscale/postgres/partition/rewrite_steps.h"
#include "teamscale/postgres/worker/owner_session.h"

extern "C" {
#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "postmaster/interrupt.h"
#include "storage/bufmgr.h"
#include "storage/itemptr.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/wait_event.h"
}

namespace teamscale {

namespace {

// A writer waits for a row that is being copied as long as its transaction lasts.
constexpr double kBatchMilliseconds = 50;
constexpr BlockNumber kFirstBatch = 8;
constexpr BlockNumber kLargestBatch = 4096;
// Before rows that somebody has locked are tried again.
constexpr long kPauseMilliseconds = 50;

int rewrite_rate = 65536;

void Sleep(long milliseconds) {
  WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, milliseconds,
            PG_WAIT_EXTENSION);
  ResetLatch(MyLatch);
  CHECK_FOR_INTERRUPTS();
  if (ConfigReloadPending) {
    ConfigReloadPending = false;
    ProcessConfigFile(PGC_SIGHUP);
  }
}

const char* QualifiedName(Oid relation) {
  return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)),
                                    get_rel_name(relation));
}

const char* OneText(const char* query, Oid relation) {
  Oid types[] = {REGCLASSOID};
  Datum values[] = {ObjectIdGetDatum(relation)};
  return static_cast<const char*>(linitial(ReadStatements(query, 1, types, values, nullptr)));
}

// --- The statements that copy some blocks of a source

struct Copier {
  const Rewrite* rewrite;
  LockPatience patience;
  Oid source;
  const char* all;      // whatever is there
  const char* missing;  // what the destination has not got
};

// Counts also the rows that it saw; when fewer were locked, some are still to be copied.
const char* CopyStatement(const char* source, const char* destination, const char* columns,
                          const char* key, const char* condition) {
  return psprintf(
      "WITH seen AS MATERIALIZED ("
      "  SELECT count(*) AS rows FROM ONLY %1$s AS s WHERE s.ctid >= $1 AND s.ctid < $2%5$s),"
      " taken AS MATERIALIZED ("
      "  SELECT %3$s FROM ONLY %1$s AS s WHERE s.ctid >= $1 AND s.ctid < $2%5$s"
      "  FOR SHARE OF s SKIP LOCKED),"
      " stored AS ("
      "  INSERT INTO %2$s (%3$s) OVERRIDING SYSTEM VALUE SELECT %3$s FROM taken"
      "  ON CONFLICT (%4$s) DO NOTHING RETURNING 1)"
      " SELECT (SELECT rows FROM seen), (SELECT count(*) FROM taken),"
      " (SELECT count(*) FROM stored)",
      source, destination, columns, key, condition);
}

Copier* PrepareCopier(const Rewrite* rewrite, LockPatience patience, Oid source) {
  MemoryContext context = CurrentMemoryContext;
  auto* copier = static_cast<Copier*>(palloc0(sizeof(Copier)));
  BeginOwnerTransaction();
  MemoryContextSwitchTo(context);
  const char* name = QualifiedName(source);
  const char* destination = QualifiedName(rewrite->destination);
  const char* columns = OneText("SELECT teamscale_internal.insertable_columns($1)", source);
  const char* key = OneText(
      "SELECT teamscale_internal.key_columns(teamscale_internal.row_identity($1))", rewrite->table);
  const char* same = OneText(
      "SELECT teamscale_internal.same_key_condition(teamscale_internal.row_identity($1), 'd', 's')",
      rewrite->table);
  const char* absent =
      psprintf(" AND NOT EXISTS (SELECT FROM %s AS d WHERE %s)", destination, same);
  *copier = {.rewrite = rewrite,
             .patience = patience,
             .source = source,
             .all = CopyStatement(name, destination, columns, key, ""),
             .missing = CopyStatement(name, destination, columns, key, absent)};
  CommitOwnerTransaction();
  MemoryContextSwitchTo(context);
  return copier;
}

// Of the blocks in question only those are read, and rows are looked up by their keys: the
// destination has no statistics yet that would say so. Row security of the source is not for us.
void PreparePlanning() {
  for (const char* off :
       {"enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin", "jit"})
    set_config_option(off, "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
  // The journal's row commits with the rows.
  set_config_option("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true,
                    0, false);
}

void BypassRowSecurity() {
  Oid user;
  int context;
  GetUserIdAndSecContext(&user, &context);
  SetUserIdAndSecContext(user, context | SECURITY_NOFORCE_RLS);
}

Datum StartOfBlock(ItemPointer pointer, BlockNumber block) {
  ItemPointerSet(pointer, block, 0);
  return PointerGetDatum(pointer);
}

int64 Count(int column) {
  bool is_null;
  return DatumGetInt64(
      SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &is_null));
}

// Constraints of the destination are checked here and not at the commit: a restricted session
// must not queue their triggers.
void CheckConstraintsAtOnce() { ExecuteInOwnerTransaction("SET CONSTRAINTS ALL IMMEDIATE"); }

void CopyBlocks(const Copier* copier, const char* statement, BlockRange range) {
  ItemPointerData begin, end;
  Oid types[] = {TIDOID, TIDOID};
  Datum values[] = {StartOfBlock(&begin, range.begin), StartOfBlock(&end, range.end)};
  SPI_connect();
  int status = SPI_execute_with_args(statement, 2, types, values, nullptr, false, 0);
  if (status != SPI_OK_SELECT)
    elog(ERROR, "could not copy rows: %s", SPI_result_code_string(status));
  int64 seen = Count(1), taken = Count(2), stored = Count(3);
  SPI_finish();
  RecordCopied(copier->rewrite, copier->source, range, seen == taken, stored);
}

// --- From batch to batch

struct Progress {
  BlockNumber next;   // where to go on
  BlockNumber batch;  // how many blocks at a time
  bool again;         // all have been read once
  BlockRange range;   // what was read last
  bool done;
};

void ForgetBlocksOfFormerFile(const Copier* copier, Progress* progress) {
  Relation source = table_open(copier->source, NoLock);
  if (source->rd_node.relNode != CountedFile(copier->source)) {
    RecordBlocks(copier->source, source->rd_node.relNode, RelationGetNumberOfBlocks(source));
    progress->next = 0;
    progress->again = false;
  }
  table_close(source, NoLock);
}

// One transaction.
void CopyBatch(const Copier* copier, Progress* progress) {
  PreparePlanning();
  LockRelationOid(copier->source, RowShareLock);
  ForgetBlocksOfFormerFile(copier, progress);
  progress->range = {0, 0};
  if (!RemainingBlocks(copier->source, progress->next, &progress->range)) {
    progress->done = progress->next == 0;
    return;
  }
  progress->range.end = std::min(progress->range.end, progress->range.begin + progress->batch);
  BypassRowSecurity();
  CheckConstraintsAtOnce();
  HideChanges(true);
  CopyBlocks(copier, progress->again ? copier->missing : copier->all, progress->range);
}

double MillisecondsSince(instr_time begin) {
  instr_time now;
  INSTR_TIME_SET_CURRENT(now);
  INSTR_TIME_SUBTRACT(now, begin);
  return INSTR_TIME_GET_MILLISEC(now);
}

void AdaptBatch(Progress* progress, double milliseconds) {
  if (milliseconds > kBatchMilliseconds)
    progress->batch = std::max<BlockNumber>(progress->batch / 2, 1);
  else if (milliseconds < kBatchMilliseconds / 2)
    progress->batch = std::min(progress->batch * 2, kLargestBatch);
}

// So that no more is read in a second than the setting allows.
void KeepToRate(BlockRange range, double milliseconds) {
  if (rewrite_rate <= 0) return;
  double allowed = (range.end - range.begin) * (BLCKSZ / 1024.0) * 1000.0 / rewrite_rate;
  if (allowed > milliseconds) Sleep(static_cast<long>(allowed - milliseconds));
}

// All blocks have been read; some may have rows that were locked.
void BeginAgain(Progress* progress) {
  if (progress->again) Sleep(kPauseMilliseconds);
  progress->next = 0;
  progress->again = true;
}

void CopySource(const Copier* copier) {
  Progress progress{
      .next = 0, .batch = kFirstBatch, .again = false, .range = {0, 0}, .done = false};
  MemoryContext batch_context =
      AllocSetContextCreate(CurrentMemoryContext, "rewrite batch", ALLOCSET_DEFAULT_SIZES);
  while (!progress.done) {
    MemoryContext previous = MemoryContextSwitchTo(batch_context);
    instr_time begin;
    INSTR_TIME_SET_CURRENT(begin);
    RunWithLockAttempts([&] { CopyBatch(copier, &progress); }, copier->patience);
    double milliseconds = MillisecondsSince(begin);
    MemoryContextSwitchTo(previous);
    MemoryContextReset(batch_context);
    TEAMSCALE_WAIT_POINT("rewrite copied a batch");
    if (progress.range.end > progress.range.begin) {
      progress.next = progress.range.end;
      AdaptBatch(&progress, milliseconds);
      KeepToRate(progress.range, milliseconds);
    } else if (!progress.done) {
      BeginAgain(&progress);
    }
    CHECK_FOR_INTERRUPTS();
  }
  MemoryContextDelete(batch_context);
}

}  // namespace

void InitRewriteCopy() {
  DefineCustomIntVariable("teamscale.rewrite_rate",
                          "How much of a partition a rewrite reads per second, at most.",
                          "0: as much as it can.", &rewrite_rate, 65536, 0, INT_MAX, PGC_SIGHUP,
                          GUC_UNIT_KB, nullptr, nullptr, nullptr);
}

void CopyRows(const Rewrite* rewrite, LockPatience patience) {
  TEAMSCALE_WAIT_POINT("rewrite mirrored");
  ListCell* cell;
  foreach (cell, rewrite->sources) CopySource(PrepareCopier(rewrite, patience, lfirst_oid(cell)));
  RunWithLockAttempts([=] { EnterPhase(rewrite, RewritePhase::kChecking); }, patience);
}

void CheckCopy(const Rewrite* rewrite) {
  TEAMSCALE_WAIT_POINT("rewrite copied");
  MemoryContext context = CurrentMemoryContext;
  BeginOwnerTransaction();
  BypassRowSecurity();
  StringInfoData sql;
  initStringInfo(&sql);
  appendStringInfoString(&sql, "SELECT 0::bigint");
  ListCell* cell;
  foreach (cell, rewrite->sources)
    appendStringInfo(&sql, " + (SELECT count(*) FROM ONLY %s)", QualifiedName(lfirst_oid(cell)));
  appendStringInfo(&sql, ", (SELECT count(*) FROM %s)", QualifiedName(rewrite->destination));
  SPI_connect();
  if (SPI_execute(sql.data, false, 0) != SPI_OK_SELECT) elog(ERROR, "could not count rows");
  int64 sources = Count(1), destination = Count(2);
  SPI_finish();
  if (sources != destination)
    ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                    errmsg("the copy of partitions of table \"%s\" is not what they are",
                           get_rel_name(rewrite->table)),
                    errdetail("They have " INT64_FORMAT " rows, and the copy has " INT64_FORMAT ".",
                              sources, destination),
                    errhint("Nothing is lost: undo it with CALL teamscale.cancel_rewrite().")));
  EnterPhase(rewrite, RewritePhase::kWaiting);
  CommitOwnerTransaction();
  MemoryContextSwitchTo(context);
}

}  // namespace teamscale

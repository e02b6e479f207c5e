// Phases building and mirroring.
#include "teamscale/postgres/boundary/wait_point.h"
#include "teamscale/postgres/partition/bound_checks.h"
#include "teamscale/postgres/partition/bounds.h"
#include "teamscale/postgres/partition/mirror.h"
#include "teamscale/postgres/partition/rewrite_guard.h"
#include "teamscale/postgres/partition/rewrite_steps.h"

extern "C" {
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
}

namespace teamscale {

namespace {

Datum TextArray(const List* texts) {
  int count = list_length(texts);
  auto* elements = static_cast<Datum*>(palloc(sizeof(Datum) * (count + 1)));
  for (int i = 0; i < count; ++i)
    elements[i] = CStringGetTextDatum(static_cast<const char*>(list_nth(texts, i)));
  return PointerGetDatum(construct_array(elements, count, TEXTOID, -1, false, TYPALIGN_INT));
}

// Nobody changes the tables' definitions any more: the journal keeps later ones out, and this lock
// waits for those that were faster.
void LockDefinitions(const Rewrite* rewrite) {
  LockRelationOid(rewrite->table, ShareUpdateExclusiveLock);
  ListCell* cell;
  foreach (cell, rewrite->sources) LockRelationOid(lfirst_oid(cell), ShareUpdateExclusiveLock);
}

void RequireRewritable(const Rewrite* rewrite) {
  Oid types[] = {REGCLASSOID, TEXTOID, OIDARRAYOID, JSONBOID};
  Datum values[] = {ObjectIdGetDatum(rewrite->table), CStringGetTextDatum(rewrite->operation),
                    SourcesOf(rewrite), PlanOf(rewrite)};
  ReadStatements("SELECT 'x' FROM teamscale_internal.require_rewritable($1, $2, $3, $4)", 4, types,
                 values, nullptr);
}

// The qualified names under which the targets are made.
List* WorkingNames(const Rewrite* rewrite) {
  Oid types[] = {INT8OID, JSONBOID};
  Datum values[] = {Int64GetDatum(rewrite->id), PlanOf(rewrite)};
  return ReadStatements("SELECT * FROM teamscale_internal.working_names($1, $2)", 2, types, values,
                        nullptr);
}

const char* StagingName(const Rewrite* rewrite) {
  return quote_qualified_identifier(
      get_namespace_name(get_rel_namespace(linitial_oid(rewrite->sources))),
      psprintf("teamscale_rewrite_" INT64_FORMAT, rewrite->id));
}

void CreateTables(const Rewrite* rewrite, const List* names, const char* staging) {
  Oid types[] = {REGCLASSOID, TEXTOID, TEXTARRAYOID, JSONBOID};
  Datum values[] = {ObjectIdGetDatum(rewrite->table), CStringGetTextDatum(staging),
                    TextArray(names), PlanOf(rewrite)};
  RunStatements(ReadStatements("SELECT * FROM teamscale_internal.target_statements($1, $2, $3, $4)",
                               4, types, values, nullptr));
}

// What a default partition holds is known in the end only.
void CheckBound(const Rewrite* rewrite, Oid target) {
  if (!ReadPartitionBound(target)->is_default) AddBoundCheck(rewrite->table, target);
}

void CompleteTarget(const Rewrite* rewrite, int position, Oid target) {
  Oid types[] = {REGCLASSOID, OIDOID, INT4OID, JSONBOID};
  Datum values[] = {ObjectIdGetDatum(rewrite->table), ObjectIdGetDatum(target),
                    Int32GetDatum(position), PlanOf(rewrite)};
  RunStatements(ReadStatements(
      "SELECT s.* FROM teamscale_internal.rewrite_targets($4) AS t CROSS JOIN LATERAL"
      " teamscale_internal.target_property_statements($1, t.template, $2, t.tablespace) AS s"
      " WHERE t.position = $3",
      4, types, values, nullptr));
}

Oid RelationNamed(const char* qualified) {
  return RangeVarGetRelid(makeRangeVarFromNameList(stringToQualifiedNameList(qualified)), NoLock,
                          false);
}

void Build(const Rewrite* rewrite) {
  LockDefinitions(rewrite);
  RequireRewritable(rewrite);
  const List* names = WorkingNames(rewrite);
  const char* staging_name = StagingName(rewrite);
  CreateTables(rewrite, names, staging_name);
  Oid staging = RelationNamed(staging_name);
  List* targets = NIL;
  for (int i = 0; i < list_length(names); ++i) {
    targets = lappend_oid(targets, RelationNamed(static_cast<const char*>(list_nth(names, i))));
    CompleteTarget(rewrite, i + 1, llast_oid(targets));
    CheckBound(rewrite, llast_oid(targets));
  }
  RecordTargets(rewrite, staging, targets);
  EnterPhase(rewrite, RewritePhase::kMirroring);
}

// --- Mirrors

Oid RowIdentity(Oid table) {
  Oid types[] = {REGCLASSOID};
  Datum values[] = {ObjectIdGetDatum(table)};
  const List* found =
      ReadStatements("SELECT teamscale_internal.row_identity($1)::pg_catalog.oid::text", 1, types,
                     values, nullptr);
  auto* text = static_cast<const char*>(linitial(found));
  return DatumGetObjectId(DirectFunctionCall1(oidin, CStringGetDatum(text)));
}

// The source's own part of the index of the partitioned table.
Oid IndexOfPartition(Oid partition, Oid index) {
  Relation relation = table_open(partition, AccessShareLock);
  Oid own = index_get_partition(relation, index);
  table_close(relation, NoLock);
  return own;
}

void CountBlocks(Oid source) {
  Relation relation = table_open(source, NoLock);
  RecordBlocks(source, relation->rd_node.relNode, RelationGetNumberOfBlocks(relation));
  table_close(relation, NoLock);
}

void MirrorSource(const Rewrite* rewrite, Oid source) {
  // Also for what follows in this transaction; the trigger would take it later.
  LockRelationOid(source, ShareRowExclusiveLock);
  MirrorPair pair{.destination = rewrite->destination,
                  .destination_key = RowIdentity(rewrite->destination),
                  .source_key = IndexOfPartition(source, RowIdentity(rewrite->table)),
                  .alone = list_length(rewrite->sources) == 1};
  InstallMirror(source, pair);
  CountBlocks(source);
}

}  // namespace

void BuildTargets(const Rewrite* rewrite, LockPatience patience) {
  TEAMSCALE_WAIT_POINT("rewrite begun");
  RunWithLockAttempts([=] { AsRewrite([=] { Build(rewrite); }); }, patience);
}

void InstallMirrors(const Rewrite* rewrite, LockPatience patience) {
  TEAMSCALE_WAIT_POINT("rewrite built");
  ListCell* cell;
  foreach (cell, rewrite->sources) {
    Oid source = lfirst_oid(cell);
    RunWithLockAttempts(
        [=] {
          if (OidIsValid(CountedFile(source))) return;
          AsRewrite([=] { MirrorSource(rewrite, source); });
        },
        patience);
    TEAMSCALE_WAIT_POINT("rewrite mirrored a source");
  }
  RunWithLockAttempts([=] { EnterPhase(rewrite, RewritePhase::kCopying); }, patience);
}

}  // namespace teamscale

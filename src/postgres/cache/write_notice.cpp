#include "teamscale/postgres/cache/write_notice.h"

#include "teamscale/postgres/boundary/utility_command.h"
#include "teamscale/postgres/cache/definition.h"
#include "teamscale/postgres/cache/definition_changes.h"
#include "teamscale/postgres/cache/rename_guard.h"

extern "C" {
#include "access/parallel.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "executor/executor.h"
#include "nodes/plannodes.h"
#include "storage/proc.h"
#include "tcop/utility.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
}

namespace teamscale {

namespace {

ExecutorStart_hook_type previous_start = nullptr;
ProcessUtility_hook_type previous_utility = nullptr;

// Which caches a write to a relation concerns: those on it, on what it belongs to (a partition's
// rows are its parent's) and on what belongs to it (rows may be routed there).
bool IsConcerned(const Cache* cache, Oid relation) {
  if (cache->table == relation || list_member_oid(cache->ancestors, relation)) return true;
  return get_rel_relispartition(relation) &&
         list_member_oid(get_partition_ancestors(relation), cache->table);
}

// Relations that were found to concern no cache, as of a generation of definitions.
HTAB* unconcerned = nullptr;
std::uint64_t unconcerned_generation = 0;

bool IsKnownUnconcerned(Oid relation) {
  if (unconcerned_generation != definition_generation && unconcerned) {
    hash_destroy(unconcerned);
    unconcerned = nullptr;
  }
  return unconcerned && hash_search(unconcerned, &relation, HASH_FIND, nullptr);
}

void NoteUnconcerned(Oid relation) {
  if (!unconcerned) {
    HASHCTL control{};
    control.keysize = sizeof(Oid);
    control.entrysize = sizeof(Oid);
    unconcerned = hash_create("teamscale uncached tables", 64, &control, HASH_ELEM | HASH_BLOBS);
    unconcerned_generation = definition_generation;
  }
  if (unconcerned_generation == definition_generation)
    hash_search(unconcerned, &relation, HASH_ENTER, nullptr);
}

// --- Plans

void NoteWritesOf(const PlannedStmt* plan) {
  if (plan->commandType == CMD_SELECT && !plan->hasModifyingCTE) return;
  ListCell* cell;
  foreach (cell, plan->rtable) {
    auto* entry = lfirst_node(RangeTblEntry, cell);
    if (entry->rtekind == RTE_RELATION &&
        (entry->requiredPerms & (ACL_INSERT | ACL_UPDATE | ACL_DELETE)))
      NoteWrite(entry->relid);
  }
  // Without checks of privileges (foreign keys' own actions) the permissions may be left out.
  foreach (cell, plan->resultRelations)
    NoteWrite(static_cast<RangeTblEntry*>(list_nth(plan->rtable, lfirst_int(cell) - 1))->relid);
}

void Start(QueryDesc* query, int flags) {
  if (!IsParallelWorker()) NoteWritesOf(query->plannedstmt);
  if (previous_start)
    previous_start(query, flags);
  else
    standard_ExecutorStart(query, flags);
}

// --- Commands

// Commands after which every cached answer is what it was. All others are watched.
bool KeepsAnswers(const Node* tree) {
  if (NamesNoTable(tree)) return true;
  switch (nodeTag(tree)) {
    case T_CopyStmt:
    case T_LockStmt:
    case T_CommentStmt:
    case T_GrantStmt:
    case T_IndexStmt:
    case T_ReindexStmt:
    case T_VacuumStmt:
    case T_ClusterStmt:
      return true;
    default:
      return false;
  }
}

void NoteCopy(const CopyStmt* copy) {
  if (!copy->is_from || !copy->relation) return;
  Oid relation = RangeVarGetRelid(copy->relation, NoLock, true);
  if (OidIsValid(relation)) NoteWrite(relation);
}

void HandOn(PlannedStmt* statement, const char* query, bool read_only_tree,
            ProcessUtilityContext context, ParamListInfo parameters, QueryEnvironment* environment,
            DestReceiver* destination, QueryCompletion* completion) {
  auto next = previous_utility ? previous_utility : standard_ProcessUtility;
  next(statement, query, read_only_tree, context, parameters, environment, destination, completion);
}

void Utility(PlannedStmt* statement, const char* query, bool read_only_tree,
             ProcessUtilityContext context, ParamListInfo parameters, QueryEnvironment* environment,
             DestReceiver* destination, QueryCompletion* completion) {
  const Node* tree = statement->utilityStmt;
  if (KeepsAnswers(tree)) {
    if (IsA(tree, CopyStmt)) NoteCopy(reinterpret_cast<const CopyStmt*>(tree));
    HandOn(statement, query, read_only_tree, context, parameters, environment, destination,
           completion);
    return;
  }
  if (IsA(tree, RenameStmt)) CheckRename(reinterpret_cast<const RenameStmt*>(tree));
  EnterDefinitionCommand();
  PG_TRY();
  {
    HandOn(statement, query, read_only_tree, context, parameters, environment, destination,
           completion);
  }
  PG_FINALLY();
  { LeaveDefinitionCommand(); }
  PG_END_TRY();
}

}  // namespace

void InitWriteNotice() {
  previous_start = ExecutorStart_hook;
  ExecutorStart_hook = Start;
  previous_utility = ProcessUtility_hook;
  ProcessUtility_hook = Utility;
}

void NoteWrite(Oid relation) {
  Caches all = AllCaches();
  if (all.count == 0 || IsKnownUnconcerned(relation)) return;
  bool concerned = false;
  for (int i = 0; i < all.count; ++i) {
    if (!IsConcerned(all.cache[i], relation)) continue;
    concerned = true;
    all.cache[i]->history->written = MyProc->lxid;
  }
  if (!concerned) NoteUnconcerned(relation);
}

}  // namespace teamscale

#include "teamscale/postgres/cache/guards.h"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
}

namespace teamscale {

namespace {

constexpr int16 kEveryRow = TRIGGER_TYPE_ROW | TRIGGER_TYPE_INSERT | TRIGGER_TYPE_DELETE |
                            TRIGGER_TYPE_UPDATE;  // and neither BEFORE nor INSTEAD

// It has no WHEN and no list of columns: such a trigger would not see every change.
bool IsGuard(Form_pg_trigger trigger, HeapTuple tuple, Relation catalog, Oid guard_function) {
  if (trigger->tgfoid != guard_function || trigger->tgtype != kEveryRow ||
      trigger->tgenabled != TRIGGER_FIRES_ALWAYS || trigger->tgdeferrable ||
      trigger->tgattr.dim1 != 0)
    return false;
  bool no_condition;
  heap_getattr(tuple, Anum_pg_trigger_tgqual, RelationGetDescr(catalog), &no_condition);
  return no_condition;
}

bool HasGuard(Oid member, Oid guard_function) {
  Relation catalog = table_open(TriggerRelationId, AccessShareLock);
  ScanKeyData key;
  ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ,
              ObjectIdGetDatum(member));
  SysScanDesc scan = systable_beginscan(catalog, TriggerRelidNameIndexId, true, nullptr, 1, &key);
  bool found = false;
  HeapTuple tuple;
  while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
    found = IsGuard(reinterpret_cast<Form_pg_trigger>(GETSTRUCT(tuple)), tuple, catalog,
                    guard_function);
  systable_endscan(scan);
  table_close(catalog, AccessShareLock);
  return found;
}

bool HasRowSecurity(Oid table) {
  HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
  if (!HeapTupleIsValid(tuple)) return false;
  bool has = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relrowsecurity;
  ReleaseSysCache(tuple);
  return has;
}

Guard ExamineMember(Oid table, Oid member, Oid guard_function) {
  char kind = get_rel_relkind(member);
  bool belongs = member == table || get_rel_relispartition(member);
  if (!belongs || (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE))
    return Guard::kForeign;
  return HasGuard(member, guard_function) ? Guard::kGuarded : Guard::kNoTrigger;
}

}  // namespace

List* MembersOf(Oid table) { return find_all_inheritors(table, NoLock, nullptr); }

Guard ExamineGuards(Oid table, Oid guard_function, char** culprit) {
  if (HasRowSecurity(table)) return Guard::kRowSecurity;
  ListCell* cell;
  foreach (cell, MembersOf(table)) {
    Guard guard = ExamineMember(table, lfirst_oid(cell), guard_function);
    if (guard == Guard::kGuarded) continue;
    *culprit = get_rel_name(lfirst_oid(cell));
    if (!*culprit) *culprit = pstrdup("?");
    return guard;
  }
  return Guard::kGuarded;
}

}  // namespace teamscale

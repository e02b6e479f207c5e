#include "teamscale/postgres/sharding/preload_guard.h"

#include <cstring>

#include "teamscale/postgres/cluster/map.h"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_db_role_setting.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/varlena.h"
}

namespace teamscale {

namespace {

constexpr char kSetting[] = "session_preload_libraries";

bool LoadsTeamscale(const char* libraries) {
  List* paths;
  if (!libraries || !SplitDirectoriesString(pstrdup(libraries), ',', &paths)) return false;
  ListCell* cell;
  foreach (cell, paths) {
    auto* path = static_cast<const char*>(lfirst(cell));
    const char* separator = last_dir_separator(path);
    const char* name = separator ? separator + 1 : path;
    if (strcmp(name, "teamscale") == 0 || strcmp(name, "teamscale.so") == 0) return true;
  }
  return false;
}

// Whether sessions load teamscale when the command is done, for all that it says of this setting.
bool KeepsLibrary(const VariableSetStmt* command) {
  if (command->kind == VAR_RESET_ALL) return false;
  if (!command->name || strcmp(command->name, kSetting) != 0) return true;
  switch (command->kind) {
    case VAR_SET_VALUE:
      return LoadsTeamscale(ExtractSetVariableArgs(const_cast<VariableSetStmt*>(command)));
    case VAR_SET_CURRENT:
      return LoadsTeamscale(GetConfigOption(kSetting, true, false));
    default:
      return false;
  }
}

// The value of the setting in a row of pg_db_role_setting, or null.
const char* ValueIn(HeapTuple tuple, Relation settings) {
  bool is_null;
  Datum list =
      heap_getattr(tuple, Anum_pg_db_role_setting_setconfig, RelationGetDescr(settings), &is_null);
  if (is_null) return nullptr;
  Datum* elements;
  int count;
  deconstruct_array(DatumGetArrayTypeP(list), TEXTOID, -1, false, TYPALIGN_INT, &elements, nullptr,
                    &count);
  for (int i = 0; i < count; ++i) {
    char* element = TextDatumGetCString(elements[i]);
    char* value = strchr(element, '=');
    if (!value) continue;
    *value = '\0';
    if (strcmp(element, kSetting) == 0) return value + 1;
  }
  return nullptr;
}

// Whether the sessions of a database, or of any database when it is invalid, load teamscale by the
// database's own setting.
bool IsGuarded(Oid database) {
  Relation settings = table_open(DbRoleSettingRelationId, AccessShareLock);
  ScanKeyData keys[2];
  ScanKeyInit(&keys[0], Anum_pg_db_role_setting_setrole, BTEqualStrategyNumber, F_OIDEQ,
              ObjectIdGetDatum(InvalidOid));
  ScanKeyInit(&keys[1], Anum_pg_db_role_setting_setdatabase, BTEqualStrategyNumber, F_OIDEQ,
              ObjectIdGetDatum(database));
  SysScanDesc scan =
      systable_beginscan(settings, InvalidOid, false, nullptr, OidIsValid(database) ? 2 : 1, keys);
  bool guarded = false;
  while (HeapTuple tuple = systable_getnext(scan))
    guarded = guarded || LoadsTeamscale(ValueIn(tuple, settings));
  systable_endscan(scan);
  table_close(settings, AccessShareLock);
  return guarded;
}

bool HasShardedTables() {
  const core::ShardMap* map = CurrentShardMap();
  return map && !map->tables().empty();
}

[[noreturn]] void Refuse(const char* hint) {
  ereport(ERROR,
          (errcode(ERRCODE_OBJECT_IN_USE),
           errmsg("\"%s\" must load teamscale while a table is sharded", kSetting),
           errdetail("A session without the library would take this node's rows of a sharded table "
                     "for the whole table."),
           errhint("%s", hint)));
}

constexpr char kHintHere[] =
    "Set it to a list that has teamscale in it, or call teamscale.undistribute_table() first.";
constexpr char kHintElsewhere[] =
    "Set it to a list that has teamscale in it, or connect to the database whose setting it is.";

// What other databases hold cannot be seen from here.
void CheckDatabase(const char* name) {
  Oid database = get_database_oid(name, true);
  if (database == MyDatabaseId ? HasShardedTables() : OidIsValid(database) && IsGuarded(database))
    Refuse(database == MyDatabaseId ? kHintHere : kHintElsewhere);
}

void CheckRoleSetting(const AlterRoleSetStmt* command) {
  // A role's own setting goes before the database's: taking it back is harmless.
  bool takes_back =
      command->setstmt->kind != VAR_SET_VALUE && command->setstmt->kind != VAR_SET_CURRENT;
  if (KeepsLibrary(command->setstmt) || ((command->role || !command->database) && takes_back))
    return;
  if (command->database)
    CheckDatabase(command->database);
  else if (HasShardedTables() || IsGuarded(InvalidOid))
    Refuse(kHintHere);
}

}  // namespace

void CheckPreloadSetting(const Node* command) {
  if (!IsTransactionState()) return;
  if (IsA(command, AlterDatabaseSetStmt)) {
    auto* alter = reinterpret_cast<const AlterDatabaseSetStmt*>(command);
    if (!KeepsLibrary(alter->setstmt)) CheckDatabase(alter->dbname);
  } else if (IsA(command, AlterRoleSetStmt)) {
    CheckRoleSetting(reinterpret_cast<const AlterRoleSetStmt*>(command));
  }
}

}  // namespace teamscale

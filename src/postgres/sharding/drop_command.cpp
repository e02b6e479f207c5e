// DROP TABLE of sharded tables: on all nodes, together with their rows in the catalog, in one
// change of the catalog. Plain tables of the same command are dropped here only.

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/cluster/catalog_change.h"
#include "teamscale/postgres/sharding/cluster_command.h"
#include "teamscale/postgres/sharding/forget_table.h"
#include "teamscale/postgres/sharding/utility_call.h"

extern "C" {
#include "catalog/namespace.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
}

namespace teamscale {

namespace {

List* TablesNamed(const DropStmt* statement) {
  List* names = NIL;
  ListCell* cell;
  foreach (cell, statement->objects)
    names = lappend(names, makeRangeVarFromNameList(static_cast<List*>(lfirst(cell))));
  return ShardedTablesNamed(names);
}

bool MayDropAll(List* relations) {
  ListCell* cell;
  foreach (cell, relations)
    if (!MayDropTable(lfirst_oid(cell))) return false;
  return true;
}

char* DropCommand(const DropStmt* statement, List* relations) {
  StringInfoData command;
  initStringInfo(&command);
  appendStringInfoString(&command, "DROP TABLE ");
  for (int i = 0; i < list_length(relations); ++i)
    appendStringInfo(&command, "%s%s", i ? ", " : "", QualifiedName(list_nth_oid(relations, i)));
  if (statement->behavior == DROP_CASCADE) appendStringInfoString(&command, " CASCADE");
  return command.data;
}

// While the tables are still there: their names are looked up on each node.
void ForgetEverywhere(List* relations) {
  ListCell* cell;
  foreach (cell, relations) {
    ForgetTableOnOtherNodes(lfirst_oid(cell));
    ForgetTable(lfirst_oid(cell));
  }
}

}  // namespace

bool DropShardedTables(const UtilityCall& call) {
  auto* statement = reinterpret_cast<DropStmt*>(call.statement->utilityStmt);
  if (statement->removeType != OBJECT_TABLE) return false;
  // Whoever may not drop them gets PostgreSQL's own error.
  List* relations = TablesNamed(statement);
  if (relations == NIL || !MayDropAll(relations)) return false;
  EnterFromPostgres([] { BeginCatalogChange(); });
  // No other change of the catalog runs now; one that ran before may have taken a table away.
  relations = TablesNamed(statement);
  if (relations == NIL) return false;
  RequireOwnersActive(relations);
  char* command = DropCommand(statement, relations);
  ForgetEverywhere(relations);
  RunNativeAsOwnDdl(call);
  ExecuteOnOtherNodes(command);
  return true;
}

}  // namespace teamscale

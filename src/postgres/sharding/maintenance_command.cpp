// VACUUM, ANALYZE, CLUSTER and REINDEX of sharded tables: here as PostgreSQL does it, then on the
// other nodes, one after the other and each in transactions of its own. An ANALYZE within a
// transaction block stays in the transaction: it must see what that wrote, and not wait for it.

#include "teamscale/postgres/cluster/node_state.h"
#include "teamscale/postgres/sharding/cluster_command.h"
#include "teamscale/postgres/sharding/ddl_guard.h"
#include "teamscale/postgres/sharding/utility_call.h"

extern "C" {
#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/defrem.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
}

namespace teamscale {

namespace {

// (name value, ...) as it was given; nothing for no options.
void AppendOptions(StringInfo command, List* options) {
  if (options == NIL) return;
  const char* separator = "(";
  ListCell* cell;
  foreach (cell, options) {
    auto* option = static_cast<DefElem*>(lfirst(cell));
    appendStringInfo(command, "%s%s", separator, quote_identifier(option->defname));
    if (option->arg) {
      char* value = defGetString(option);
      bool number = IsA(option->arg, Integer) || IsA(option->arg, Float);
      appendStringInfo(command, " %s", number ? value : quote_literal_cstr(value));
    }
    separator = ", ";
  }
  appendStringInfoString(command, ") ");
}

void AppendColumns(StringInfo command, List* columns) {
  for (int i = 0; i < list_length(columns); ++i)
    appendStringInfo(command, "%s%s", i ? ", " : " (",
                     quote_identifier(strVal(list_nth(columns, i))));
  if (columns != NIL) appendStringInfoChar(command, ')');
}

// Null when the list names no sharded table; a command for the whole database is this node's own.
char* VacuumCommand(const VacuumStmt* statement) {
  StringInfoData command;
  initStringInfo(&command);
  appendStringInfoString(&command, statement->is_vacuumcmd ? "VACUUM " : "ANALYZE ");
  AppendOptions(&command, statement->options);
  const char* separator = "";
  ListCell* cell;
  foreach (cell, statement->rels) {
    auto* target = static_cast<VacuumRelation*>(lfirst(cell));
    List* relations = target->relation ? ShardedTablesNamed(list_make1(target->relation)) : NIL;
    if (relations == NIL) continue;
    appendStringInfo(&command, "%s%s", separator, QualifiedName(linitial_oid(relations)));
    AppendColumns(&command, target->va_cols);
    separator = ", ";
  }
  return *separator ? command.data : nullptr;
}

char* ClusterCommand(const ClusterStmt* statement) {
  if (!statement->relation) return nullptr;
  List* relations = ShardedTablesNamed(list_make1(statement->relation));
  if (relations == NIL) return nullptr;
  StringInfoData command;
  initStringInfo(&command);
  appendStringInfoString(&command, "CLUSTER ");
  AppendOptions(&command, statement->params);
  appendStringInfoString(&command, QualifiedName(linitial_oid(relations)));
  if (statement->indexname)
    appendStringInfo(&command, " USING %s", quote_identifier(statement->indexname));
  return command.data;
}

char* ReindexCommand(const ReindexStmt* statement) {
  bool is_index = statement->kind == REINDEX_OBJECT_INDEX;
  if (!is_index && statement->kind != REINDEX_OBJECT_TABLE) return nullptr;
  Oid relation = RangeVarGetRelid(statement->relation, NoLock, true);
  // A leaf, or an index of a leaf, is this node's own affair.
  if (!OidIsValid(relation) || !ShardedTableOf(relation) || get_rel_relispartition(relation))
    return nullptr;
  StringInfoData command;
  initStringInfo(&command);
  appendStringInfoString(&command, "REINDEX ");
  AppendOptions(&command, statement->params);
  appendStringInfo(&command, "%s %s", is_index ? "INDEX" : "TABLE", QualifiedName(relation));
  return command.data;
}

char* CommandForOthers(const Node* tree) {
  switch (nodeTag(tree)) {
    case T_VacuumStmt:
      return VacuumCommand(reinterpret_cast<const VacuumStmt*>(tree));
    case T_ClusterStmt:
      return ClusterCommand(reinterpret_cast<const ClusterStmt*>(tree));
    default:
      return ReindexCommand(reinterpret_cast<const ReindexStmt*>(tree));
  }
}

bool IsAnalyze(const Node* tree) {
  return IsA(tree, VacuumStmt) && !reinterpret_cast<const VacuumStmt*>(tree)->is_vacuumcmd;
}

}  // namespace

bool MaintainShardedTables(const UtilityCall& call) {
  const Node* tree = call.statement->utilityStmt;
  char* command = CommandForOthers(tree);
  if (!command) return false;
  RequireServingNode();
  bool within_transaction = IsAnalyze(tree) && IsInTransactionBlock(call.IsTopLevel());
  // After this, the transaction may be another one than before.
  RunNativeAsOwnDdl(call);
  if (within_transaction)
    ExecuteOnOtherNodes(command);
  else
    ExecuteOnEachOtherNode(command);
  return true;
}

}  // namespace teamscale

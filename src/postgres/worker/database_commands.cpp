// Plain dialect.
#include "teamscale/postgres/worker/database_commands.h"

#include <string_view>

#include "teamscale/postgres/boundary/server.h"
#include "teamscale/postgres/worker/maintenance_slots.h"

extern "C" {
#include "access/xact.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/acl.h"
}

namespace teamscale {

namespace {

ProcessUtility_hook_type previous_hook = nullptr;

// Whether the current transaction may have given a database the extension.
bool extension_changes = false;

// Its owner may do to a database what needs it empty; nobody else sends its worker away.
void MakeRoom(const char* name) {
  Oid database = name ? get_database_oid(name, true) : InvalidOid;
  if (OidIsValid(database) && pg_database_ownercheck(database, GetUserId())) EvictWorker(database);
}

const char* OptionText(const List* options, std::string_view name) {
  ListCell* cell;
  foreach (cell, options) {
    auto* option = lfirst_node(DefElem, cell);
    if (name == option->defname && option->arg) return defGetString(option);
  }
  return nullptr;
}

void BeforeCommand(const Node* statement) {
  switch (nodeTag(statement)) {
    case T_DropdbStmt:
      return MakeRoom(reinterpret_cast<const DropdbStmt*>(statement)->dbname);
    case T_CreatedbStmt:
      return MakeRoom(
          OptionText(reinterpret_cast<const CreatedbStmt*>(statement)->options, "template"));
    case T_AlterDatabaseStmt: {
      auto* alter = reinterpret_cast<const AlterDatabaseStmt*>(statement);
      if (OptionText(alter->options, "tablespace")) MakeRoom(alter->dbname);
      return;
    }
    case T_RenameStmt: {
      auto* rename = reinterpret_cast<const RenameStmt*>(statement);
      if (rename->renameType == OBJECT_DATABASE) MakeRoom(rename->subname);
      return;
    }
    default:
      return;
  }
}

void AfterCommand(const Node* statement) {
  if (IsA(statement, CreatedbStmt) || IsA(statement, AlterDatabaseStmt) ||
      (IsA(statement, CreateExtensionStmt) &&
       std::string_view("teamscale") ==
           reinterpret_cast<const CreateExtensionStmt*>(statement)->extname))
    extension_changes = true;
}

void Hook(PlannedStmt* statement, const char* query, bool read_only_tree,
          ProcessUtilityContext context, ParamListInfo parameters, QueryEnvironment* environment,
          DestReceiver* destination, QueryCompletion* completion) {
  BeforeCommand(statement->utilityStmt);
  auto next = previous_hook ? previous_hook : standard_ProcessUtility;
  next(statement, query, read_only_tree, context, parameters, environment, destination, completion);
  AfterCommand(statement->utilityStmt);
}

// The launcher cannot see the extension before the transaction is committed.
void OnTransactionEnd(XactEvent event, void*) {
  if (!extension_changes || (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT)) return;
  extension_changes = false;
  if (event == XACT_EVENT_COMMIT) NoteExtensionChange();
}

}  // namespace

void InitDatabaseCommands() {
  previous_hook = ProcessUtility_hook;
  ProcessUtility_hook = Hook;
  RegisterXactCallback(OnTransactionEnd, nullptr);
}

}  // namespace teamscale

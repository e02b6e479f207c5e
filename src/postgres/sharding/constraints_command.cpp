// SET CONSTRAINTS: on every node that the transaction uses, and on those that it comes to later.

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/cluster/node_session.h"
#include "teamscale/postgres/cluster/remote_transaction.h"
#include "teamscale/postgres/sharding/ddl_guard.h"
#include "teamscale/postgres/sharding/utility_call.h"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_constraint.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
}

namespace teamscale {

namespace {

struct Found {
  bool any;
  bool sharded;  // one of a sharded table, or of a leaf of one
};

Found FindConstraint(const char* name, Oid schema) {
  Found found{};
  Relation constraints = table_open(ConstraintRelationId, AccessShareLock);
  ScanKeyData keys[2];
  ScanKeyInit(&keys[0], Anum_pg_constraint_conname, BTEqualStrategyNumber, F_NAMEEQ,
              CStringGetDatum(name));
  ScanKeyInit(&keys[1], Anum_pg_constraint_connamespace, BTEqualStrategyNumber, F_OIDEQ,
              ObjectIdGetDatum(schema));
  SysScanDesc scan =
      systable_beginscan(constraints, ConstraintNameNspIndexId, true, nullptr, 2, keys);
  while (HeapTuple tuple = systable_getnext(scan)) {
    found.any = true;
    Oid relation = reinterpret_cast<Form_pg_constraint>(GETSTRUCT(tuple))->conrelid;
    found.sharded = found.sharded || (OidIsValid(relation) && ShardedTableOf(relation));
  }
  systable_endscan(scan);
  table_close(constraints, AccessShareLock);
  return found;
}

// The constraint's name with the schema in which PostgreSQL finds it; null when that is not of a
// sharded table: other nodes know nothing of it.
const char* NameElsewhere(const RangeVar* name) {
  List* schemas = name->schemaname ? list_make1_oid(get_namespace_oid(name->schemaname, false))
                                   : fetch_search_path(true);
  ListCell* cell;
  foreach (cell, schemas) {
    Found found = FindConstraint(name->relname, lfirst_oid(cell));
    if (!found.any) continue;
    return found.sharded
               ? quote_qualified_identifier(get_namespace_name(lfirst_oid(cell)), name->relname)
               : nullptr;
  }
  return nullptr;
}

// null when it concerns no other node.
const char* CommandElsewhere(const ConstraintsSetStmt* statement) {
  StringInfoData command;
  initStringInfo(&command);
  appendStringInfoString(&command, "SET CONSTRAINTS ");
  if (statement->constraints == NIL) appendStringInfoString(&command, "ALL");
  bool empty = statement->constraints != NIL;
  ListCell* cell;
  foreach (cell, statement->constraints) {
    const char* name = NameElsewhere(static_cast<RangeVar*>(lfirst(cell)));
    if (!name) continue;
    appendStringInfo(&command, "%s%s", empty ? "" : ", ", name);
    empty = false;
  }
  if (empty) return nullptr;
  appendStringInfoString(&command, statement->deferred ? " DEFERRED" : " IMMEDIATE");
  return command.data;
}

[[noreturn]] void RefuseOnOwner() {
  ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                  errmsg("SET CONSTRAINTS cannot be given within a statement that another node "
                         "sent"),
                  errdetail("A trigger or a function of it would set them on this node alone."),
                  errhint("Give it before the statement.")));
}

}  // namespace

bool SetConstraintsEverywhere(const UtilityCall& call) {
  auto* statement = castNode(ConstraintsSetStmt, call.statement->utilityStmt);
  if (InNodeSession()) RefuseOnOwner();
  RunNative(call);
  if (const char* command = CommandElsewhere(statement))
    EnterFromPostgres([=] { SetConstraintMode(command, !statement->deferred); });
  return true;
}

}  // namespace teamscale

#include "teamscale/postgres/sharding/any_statement.h"

#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/cluster/node_session.h"

extern "C" {
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "tcop/cmdtag.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
}

namespace teamscale {

namespace {

// --- What a statement is -------------------------------------------------------------------------

bool IsPartitioned(const RangeVar* name) {
  Oid relation = name ? RangeVarGetRelid(name, NoLock, true) : InvalidOid;
  char kind = OidIsValid(relation) ? get_rel_relkind(relation) : '\0';
  return kind == RELKIND_PARTITIONED_TABLE || kind == RELKIND_PARTITIONED_INDEX;
}

bool HasOption(List* options, const char* name) {
  ListCell* cell;
  foreach (cell, options)
    if (strcmp(static_cast<DefElem*>(lfirst(cell))->defname, name) == 0) return true;
  return false;
}

bool IsConcurrent(const Node* tree) {
  switch (nodeTag(tree)) {
    case T_IndexStmt:
      return reinterpret_cast<const IndexStmt*>(tree)->concurrent;
    case T_DropStmt:
      return reinterpret_cast<const DropStmt*>(tree)->concurrent;
    case T_ReindexStmt:
      return HasOption(reinterpret_cast<const ReindexStmt*>(tree)->params, "concurrently");
    case T_AlterTableStmt: {
      ListCell* cell;
      foreach (cell, reinterpret_cast<const AlterTableStmt*>(tree)->cmds) {
        auto* command = static_cast<AlterTableCmd*>(lfirst(cell));
        if (command->subtype == AT_DetachPartition &&
            reinterpret_cast<PartitionCmd*>(command->def)->concurrent)
          return true;
      }
      return false;
    }
    default:
      return false;
  }
}

bool RefusesBlock(const Node* tree) {
  if (IsConcurrent(tree)) return true;
  switch (nodeTag(tree)) {
    case T_VacuumStmt:
      return reinterpret_cast<const VacuumStmt*>(tree)->is_vacuumcmd;
    case T_ReindexStmt: {
      auto* reindex = reinterpret_cast<const ReindexStmt*>(tree);
      return !reindex->relation || IsPartitioned(reindex->relation);
    }
    case T_ClusterStmt: {
      auto* cluster = reinterpret_cast<const ClusterStmt*>(tree);
      return !cluster->relation || IsPartitioned(cluster->relation);
    }
    case T_AlterDatabaseStmt:
      return HasOption(reinterpret_cast<const AlterDatabaseStmt*>(tree)->options, "tablespace");
    case T_CreatedbStmt:
    case T_DropdbStmt:
    case T_CreateTableSpaceStmt:
    case T_DropTableSpaceStmt:
    case T_AlterSystemStmt:
    case T_CreateSubscriptionStmt:
    case T_AlterSubscriptionStmt:
    case T_DropSubscriptionStmt:
      return true;
    default:
      return false;
  }
}

bool ChangesSession(const Node* tree) {
  switch (nodeTag(tree)) {
    case T_TransactionStmt:
    case T_VariableSetStmt:
    case T_ConstraintsSetStmt:
    case T_PrepareStmt:
    case T_ExecuteStmt:
    case T_DeallocateStmt:
    case T_DeclareCursorStmt:
    case T_FetchStmt:
    case T_ClosePortalStmt:
    case T_DiscardStmt:
    case T_ListenStmt:
    case T_UnlistenStmt:
    case T_LoadStmt:
      return true;
    default:
      return false;
  }
}

bool IsCopyWithClient(const Node* tree) {
  return IsA(tree, CopyStmt) && !reinterpret_cast<const CopyStmt*>(tree)->filename;
}

bool IsUtility(const Node* tree) {
  switch (nodeTag(tree)) {
    case T_SelectStmt:
      return reinterpret_cast<const SelectStmt*>(tree)->intoClause != nullptr;
    case T_InsertStmt:
    case T_UpdateStmt:
    case T_DeleteStmt:
    case T_MergeStmt:
    case T_ExplainStmt:
    case T_VariableShowStmt:
      return false;
    default:
      return true;
  }
}

// --- Rows as jsonb -------------------------------------------------------------------------------

// to_jsonb() of a row, whose type it takes from the expression that calls it.
void PrepareToJsonb(FmgrInfo* to_jsonb_function) {
  fmgr_info(F_TO_JSONB, to_jsonb_function);
  auto* row = reinterpret_cast<Node*>(makeNullConst(RECORDOID, -1, InvalidOid));
  auto* call = makeFuncExpr(F_TO_JSONB, JSONBOID, list_make1(row), InvalidOid, InvalidOid,
                            COERCE_EXPLICIT_CALL);
  fmgr_info_set_expr(reinterpret_cast<Node*>(call), to_jsonb_function);
}

void PutRow(const char* node, const Datum* result, const Datum* affected, TupleDesc descriptor,
            Tuplestorestate* store) {
  Datum values[3] = {};
  bool nulls[3] = {};
  int column = 0;
  if (node) values[column++] = CStringGetTextDatum(node);
  nulls[column] = !result;
  values[column++] = result ? *result : Datum{0};
  nulls[column] = !affected;
  values[column] = affected ? *affected : Datum{0};
  tuplestore_putvalues(store, descriptor, values, nulls);
}

void PutReturnedRows(const char* node, TupleDesc descriptor, Tuplestorestate* store) {
  FmgrInfo to_jsonb_function;
  PrepareToJsonb(&to_jsonb_function);
  TupleDesc row_type = BlessTupleDesc(SPI_tuptable->tupdesc);
  for (uint64 i = 0; i < SPI_tuptable->numvals; ++i) {
    CHECK_FOR_INTERRUPTS();
    Datum row = heap_copy_tuple_as_datum(SPI_tuptable->vals[i], row_type);
    Datum result = FunctionCall1(&to_jsonb_function, row);
    PutRow(node, &result, nullptr, descriptor, store);
    pfree(DatumGetPointer(row));
    pfree(DatumGetPointer(result));
  }
}

void ExecuteHere(const char* sql, const char* node, TupleDesc descriptor, Tuplestorestate* store) {
  SPI_connect();
  int status = SPI_execute(sql, false, 0);
  if (status < 0)
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("this statement cannot be run on nodes"),
                    errdetail("%s", SPI_result_code_string(status))));
  if (SPI_tuptable) {
    PutReturnedRows(node, descriptor, store);
  } else {
    Datum affected = Int64GetDatum(static_cast<int64>(SPI_processed));
    PutRow(node, nullptr, status == SPI_OK_UTILITY ? nullptr : &affected, descriptor, store);
  }
  SPI_finish();
}

}  // namespace

AnyStatement ExamineStatement(const char* sql) {
  AnyStatement statement{};
  List* trees = pg_parse_query(sql);
  ListCell* cell;
  foreach (cell, trees) {
    Node* tree = static_cast<RawStmt*>(lfirst(cell))->stmt;
    const char* name = GetCommandTagName(CreateCommandTag(tree));
    if (ChangesSession(tree))
      ereport(ERROR,
              (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("%s cannot be run on nodes", name),
               errdetail("It would change the state of a session or of a transaction.")));
    if (IsCopyWithClient(tree))
      ereport(ERROR,
              (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
               errmsg("COPY to or from the client cannot be run on nodes"),
               errdetail("Only one connection, that to the node at hand, leads to the client."),
               errhint("SELECT the rows, or use COPY with a file of the node.")));
    if (RefusesBlock(tree)) {
      if (list_length(trees) > 1)
        ereport(ERROR, (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
                        errmsg("%s cannot run together with other commands", name),
                        errhint("Pass it alone.")));
      statement.refuses_block = name;
    }
    statement.concurrently = statement.concurrently || IsConcurrent(tree);
    statement.defines = statement.defines || IsUtility(tree);
  }
  return statement;
}

void RunStatementHere(const char* sql, bool definitions, const char* node, TupleDesc descriptor,
                      Tuplestorestate* store) {
  LocalStatement previous = EnterLocalStatement(definitions);
  PG_TRY();
  { ExecuteHere(sql, node, descriptor, store); }
  PG_FINALLY();
  { LeaveLocalStatement(previous); }
  PG_END_TRY();
}

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_execute_here) {
  using namespace teamscale;
  RequireRouterStatement(kExecuteHere);
  InitMaterializedSRF(fcinfo, 0);
  auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  RunStatementHere(text_to_cstring(PG_GETARG_TEXT_PP(0)), PG_GETARG_BOOL(1), nullptr,
                   result->setDesc, result->setResult);
  return Datum{0};
}

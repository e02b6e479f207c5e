// COPY ... FROM into a sharded table. PostgreSQL's own COPY reads the input, evaluates defaults and
// inserts this node's rows; what is added is a condition behind the command's WHERE:
//
//   keep_copied_row(key) OR send_copied_row(ROW(columns))
//
// The first is true for a row of this node. The second sends the row to its owner and is false, so
// that COPY leaves it out here. Options, line numbers, triggers, constraints and the client
// protocol are COPY's own. Statement triggers fire here and on each node that is sent rows.

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/cluster/node_session.h"
#include "teamscale/postgres/cluster/node_state.h"
#include "teamscale/postgres/cluster/remote_transaction.h"
#include "teamscale/postgres/sharding/insert_privilege.h"
#include "teamscale/postgres/sharding/key_router.h"
#include "teamscale/postgres/sharding/scatter.h"
#include "teamscale/postgres/sharding/utility_call.h"

extern "C" {
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/copy.h"
#include "commands/copyfrom_internal.h"
#include "commands/defrem.h"
#include "nodes/makefuncs.h"
#include "rewrite/rewriteHandler.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/typcache.h"
}

namespace teamscale {

namespace {

// The COPY that is running. One may run within another: a trigger may COPY from a file.
struct SplitCopy {
  SplitCopy* outer;
  Oid parent;
  core::NodeId local_node;
  const KeyRouter* router;
  Scatter* scatter;
  List* columns;       // attribute numbers of what is sent
  TupleDesc row;       // of the columns that are sent; known with the first row
  core::NodeId owner;  // of the row at hand, or kNoOwner
};

constexpr core::NodeId kNoOwner = -1;

SplitCopy* current_copy = nullptr;

void RefuseFreeze(const CopyStmt* statement) {
  ListCell* cell;
  foreach (cell, statement->options) {
    auto* option = static_cast<DefElem*>(lfirst(cell));
    if (strcmp(option->defname, "freeze") == 0 && defGetBoolean(option))
      ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                      errmsg("cannot perform COPY FREEZE on sharded table \"%s\"",
                             statement->relation->relname),
                      errhint("Leave FREEZE out.")));
  }
}

bool IsListed(const CopyStmt* statement, const char* column) {
  ListCell* cell;
  foreach (cell, statement->attlist)
    if (strcmp(strVal(lfirst(cell)), column) == 0) return true;
  return statement->attlist == NIL;
}

// The columns that travel: those that the command lists, and those whose defaults were evaluated
// here. A default of a column that the user may not insert is left to the owner.
List* ColumnsToSend(Relation parent, const CopyStmt* statement) {
  TupleDesc descriptor = RelationGetDescr(parent);
  List* columns = NIL;
  for (int i = 0; i < descriptor->natts; ++i) {
    Form_pg_attribute attribute = TupleDescAttr(descriptor, i);
    if (attribute->attisdropped || attribute->attgenerated) continue;
    if (IsListed(statement, NameStr(attribute->attname)) ||
        (build_column_default(parent, attribute->attnum) &&
         MayInsertColumn(RelationGetRelid(parent), attribute->attnum)))
      columns = lappend_int(columns, attribute->attnum);
  }
  return columns;
}

// A transformed Var within a raw tree: unlike a name it asks for no SELECT privilege.
Node* ColumnVar(Relation parent, AttrNumber column) {
  Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(parent), column - 1);
  return reinterpret_cast<Node*>(
      makeVar(1, column, attribute->atttypid, attribute->atttypmod, attribute->attcollation, 0));
}

Node* CallOfOurs(const char* name, Node* argument) {
  List* qualified =
      list_make2(makeString(pstrdup("teamscale_internal")), makeString(pstrdup(name)));
  return reinterpret_cast<Node*>(
      makeFuncCall(qualified, list_make1(argument), COERCE_EXPLICIT_CALL, -1));
}

Node* RoutingCondition(Relation parent, AttrNumber key, List* columns, Node* where) {
  auto* row = makeNode(RowExpr);
  row->row_format = COERCE_EXPLICIT_CALL;
  row->location = -1;
  ListCell* cell;
  foreach (cell, columns) row->args = lappend(row->args, ColumnVar(parent, lfirst_int(cell)));
  List* ways = list_make2(CallOfOurs("keep_copied_row", ColumnVar(parent, key)),
                          CallOfOurs("send_copied_row", reinterpret_cast<Node*>(row)));
  auto* condition = reinterpret_cast<Node*>(makeBoolExpr(OR_EXPR, ways, -1));
  if (!where) return condition;
  return reinterpret_cast<Node*>(makeBoolExpr(AND_EXPR, list_make2(where, condition), -1));
}

// The input line that COPY is at, by its own error context; 0 when there is none.
uint64 CurrentLine() {
  for (ErrorContextCallback* frame = error_context_stack; frame; frame = frame->previous)
    if (frame->callback == CopyFromErrorCallback)
      return static_cast<CopyFromState>(frame->arg)->cur_lineno;
  return 0;
}

SplitCopy* RequireCurrentCopy(bool consistent) {
  if (!current_copy || !consistent)
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("this function is called by COPY into a sharded table only")));
  return current_copy;
}

bool HasTypesOf(TupleDesc row, const SplitCopy* copy) {
  if (row->natts != list_length(copy->columns)) return false;
  for (int i = 0; i < row->natts; ++i)
    if (TupleDescAttr(row, i)->atttypid !=
        get_atttype(copy->parent, list_nth_int(copy->columns, i)))
      return false;
  return true;
}

// Code of the user's that runs within the COPY might call the function too, with any row: it must
// not be taken for one of the table's.
void CheckRow(SplitCopy* copy, HeapTupleHeader header) {
  Oid type = HeapTupleHeaderGetTypeId(header);
  int32 typmod = HeapTupleHeaderGetTypMod(header);
  if (!copy->row) {
    MemoryContext caller = MemoryContextSwitchTo(GetMemoryChunkContext(copy));
    TupleDesc row = lookup_rowtype_tupdesc_copy(type, typmod);
    MemoryContextSwitchTo(caller);
    RequireCurrentCopy(HasTypesOf(row, copy));
    copy->row = row;
  }
  RequireCurrentCopy(copy->row->tdtypeid == type && copy->row->tdtypmod == typmod &&
                     copy->owner != kNoOwner);
}

void SendRow(SplitCopy* copy, HeapTupleHeader header) {
  CheckRow(copy, header);
  HeapTupleData tuple{};
  tuple.t_len = HeapTupleHeaderGetDatumLength(header);
  tuple.t_data = header;
  auto* values = static_cast<Datum*>(palloc(sizeof(Datum) * copy->row->natts));
  auto* nulls = static_cast<bool*>(palloc(sizeof(bool) * copy->row->natts));
  heap_deform_tuple(&tuple, copy->row, values, nulls);
  ScatterRow(copy->scatter, copy->owner, values, nulls, CurrentLine());
  copy->owner = kNoOwner;
}

// Runs the command and gives the rows that went to other nodes.
uint64 RunSplitCopy(const UtilityCall& call, CopyStmt* statement, Relation parent) {
  auto* copy = static_cast<SplitCopy*>(palloc0(sizeof(SplitCopy)));
  copy->columns = ColumnsToSend(parent, statement);
  copy->owner = kNoOwner;
  copy->outer = current_copy;
  copy->parent = RelationGetRelid(parent);
  copy->local_node = CurrentShardMap()->local_node();
  copy->router = GetKeyRouter(copy->parent);
  copy->scatter = MakeScatter(parent, copy->columns);
  statement->whereClause =
      RoutingCondition(parent, KeyAttribute(copy->router), copy->columns, statement->whereClause);
  uint64 sent = 0;
  current_copy = copy;
  PG_TRY();
  {
    RunNative(call, reinterpret_cast<Node*>(statement));
    sent = FinishScatter(copy->scatter);
  }
  PG_FINALLY();
  { current_copy = copy->outer; }
  PG_END_TRY();
  return sent;
}

}  // namespace

void CheckRouterCopy(const UtilityCall& call) {
  auto* statement = reinterpret_cast<CopyStmt*>(call.statement->utilityStmt);
  if (!IsA(statement, CopyStmt) || !statement->relation || !InRouterStatement()) return;
  Oid relation = RangeVarGetRelid(statement->relation, NoLock, true);
  if (!OidIsValid(relation) || !CurrentShardMap()->FindTable(relation)) return;
  RequireActiveRouter();
  RequireServingNode();
}

bool CopyIntoShardedTable(const UtilityCall& call) {
  auto* statement = reinterpret_cast<CopyStmt*>(call.statement->utilityStmt);
  if (!statement->is_from || !statement->relation) return false;
  Oid relation = RangeVarGetRelid(statement->relation, RowExclusiveLock, true);
  if (!OidIsValid(relation) || !CurrentShardMap()->FindTable(relation)) return false;
  RequireServingNode();
  RefuseFreeze(statement);

  MemoryContext context =
      AllocSetContextCreate(CurrentMemoryContext, "teamscale COPY FROM", ALLOCSET_DEFAULT_SIZES);
  MemoryContext caller = MemoryContextSwitchTo(context);
  Relation parent = table_open(relation, NoLock);
  uint64 sent = RunSplitCopy(call, static_cast<CopyStmt*>(copyObjectImpl(statement)), parent);
  table_close(parent, NoLock);
  MemoryContextSwitchTo(caller);
  MemoryContextDelete(context);
  if (call.completion) call.completion->nprocessed += sent;
  return true;
}

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_keep_copied_row) {
  using namespace teamscale;
  SplitCopy* copy = RequireCurrentCopy(true);
  RequireCurrentCopy(get_fn_expr_argtype(fcinfo->flinfo, 0) == KeyType(copy->router));
  // Triggers of rows before this one may have changed the map in between.
  copy->router = GetKeyRouter(copy->parent);
  core::NodeId owner =
      RequireBucketOfKey(copy->router, PG_GETARG_DATUM(0), PG_ARGISNULL(0), KeyType(copy->router))
          ->node;
  if (owner != copy->local_node) {
    copy->owner = owner;
    PG_RETURN_BOOL(false);
  }
  EnterFromPostgres(UseThisNode);
  PG_RETURN_BOOL(true);
}

TEAMSCALE_SQL_FUNCTION(teamscale_send_copied_row) {
  using namespace teamscale;
  SendRow(RequireCurrentCopy(true), PG_GETARG_HEAPTUPLEHEADER(0));
  PG_RETURN_BOOL(false);
}

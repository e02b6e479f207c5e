#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/partition/action.h"
#include "teamscale/postgres/partition/table_owner.h"
#include "teamscale/postgres/partition/table_plan.h"

extern "C" {
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
}

namespace teamscale {

namespace {

Datum Text(const std::string& text) { return CStringGetTextDatum(text.c_str()); }

std::string ObjectOf(const core::Action& action) {
  if (action.object.name.name.empty()) return "";
  return core::QuoteName(action.object.name);
}

// What is detached, and what is only said, has no bound.
std::string BoundOfAction(const core::Action& action) {
  switch (action.kind) {
    case core::ActionKind::kGuard:
    case core::ActionKind::kNotice:
    case core::ActionKind::kDrop:
    case core::ActionKind::kMoveToSchema:
    case core::ActionKind::kResumeRewrite:
      return "";
    default:
      return core::BoundClause(action.bound);
  }
}

void PutAction(ReturnSetInfo* rows, Oid table, const core::Action& action) {
  std::string object = ObjectOf(action);
  std::string bound = object.empty() ? "" : BoundOfAction(action);
  const core::Action* a = &action;
  const std::string *o = &object, *b = &bound;
  CallPostgres([=] {
    Datum values[] = {ObjectIdGetDatum(table),
                      CStringGetTextDatum(core::ActionName(a->kind)),
                      o->empty() ? Datum{0} : Text(*o),
                      b->empty() ? Datum{0} : Text(*b),
                      Text(a->reason),
                      a->lock.empty() ? Datum{0} : Text(a->lock),
                      Int64GetDatum(a->rows),
                      Int64GetDatum(a->bytes)};
    bool nulls[] = {false, false, o->empty(), b->empty(), false, a->lock.empty(), false, false};
    tuplestore_putvalues(rows->setResult, rows->setDesc, values, nulls);
  });
}

std::vector<TablePlan> PlanTable(Oid table) {
  CallPostgres([table] { RequireTableOwner(table); });
  std::vector<TablePlan> plans = PlanTables({table});
  if (plans.empty()) {
    std::string name = CallPostgres([table] { return get_rel_name(table); });
    throw Error(ERRCODE_UNDEFINED_OBJECT, "table \"" + name + "\" has no partition policy", "",
                "Give it one with teamscale.create_partition_policy().");
  }
  return plans;
}

}  // namespace

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_plan_partitions) {
  using namespace teamscale;
  InitMaterializedSRF(fcinfo, 0);
  auto* rows = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  bool all = PG_ARGISNULL(0);
  Oid table = all ? InvalidOid : PG_GETARG_OID(0);
  return EnterFromPostgres([=] {
    for (const TablePlan& plan : all ? PlanTables(OwnTablesWithPolicy()) : PlanTable(table))
      for (const core::Action& action : plan.plan.actions) PutAction(rows, plan.table, action);
    return Datum{0};
  });
}

TEAMSCALE_SQL_FUNCTION(teamscale_create_planned_partitions) {
  using namespace teamscale;
  Oid table = PG_GETARG_OID(0);
  return EnterFromPostgres([table] {
    const std::vector<TablePlan> plans = PlanTable(table);
    for (const core::Action& action : plans.front().plan.actions)
      if (action.kind == core::ActionKind::kCreate) CallPostgres([&] { CreateNow(action); });
    return Datum{0};
  });
}

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/cluster/node_state.h"
#include "teamscale/postgres/cluster/settling.h"

extern "C" {
#include "funcapi.h"
#include "utils/builtins.h"
}

namespace teamscale {

namespace {

void PutStep(ReturnSetInfo* rows, const char* gid, const char* node, const char* action) {
  Datum values[] = {*gid ? CStringGetTextDatum(gid) : Datum{0}, CStringGetTextDatum(node),
                    CStringGetTextDatum(action)};
  bool nulls[] = {!*gid, false, false};
  tuplestore_putvalues(rows->setResult, rows->setDesc, values, nulls);
}

void SettleNow(ReturnSetInfo* rows) {
  if (!CallPostgres([] { return CurrentShardMap(); }))
    throw Error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                "this database is not a node of a cluster", "",
                "Make a cluster with teamscale.create_cluster().");
  // Says why, where this database must not settle.
  CallPostgres([] { RequireServingNode(); });
  std::optional<std::vector<SettlingStep>> steps = SettleOnce();
  // Found out only now, by asking: say it.
  if (!steps) return CallPostgres([] { RequireServingNode(); });
  for (const SettlingStep& step : *steps) {
    const SettlingStep* s = &step;
    CallPostgres([=] { PutStep(rows, s->gid.c_str(), s->node.c_str(), s->action.c_str()); });
  }
}

}  // namespace

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_settle_transactions) {
  InitMaterializedSRF(fcinfo, 0);
  auto* rows = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  return teamscale::EnterFromPostgres([rows] {
    teamscale::SettleNow(rows);
    return Datum{0};
  });
}

#include "teamscale/postgres/sharding/travel.h"

#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/sharding/hoisting.h"
#include "teamscale/postgres/sharding/lossless_settings.h"
#include "teamscale/postgres/sharding/portable_result.h"
#include "teamscale/postgres/sharding/statement_repair.h"
#include "teamscale/postgres/sharding/travel_limits.h"
#include "teamscale/postgres/sharding/travelling_views.h"
#include "teamscale/postgres/sharding/view_folding.h"

extern "C" {
#include "catalog/namespace.h"
#include "utils/ruleutils.h"
}

namespace teamscale {

namespace {

// An empty search_path, without even pg_catalog: every name is written with its schema. So no
// object that only the other node has is taken for the one that is meant here, nor one of the same
// name that suits the arguments better.
void EnterQualifiedNames() {
  OverrideSearchPath nothing{};
  PushOverrideSearchPath(&nothing);
}

// For literals, the other node reads any of these styles.
char* Deparse(Query* query) {
  int settings = EnterLosslessSettings();
  EnterQualifiedNames();
  char* sql = pg_get_querydef(query, false);
  PopOverrideSearchPath();
  LeaveLosslessSettings(settings);
  return sql;
}

}  // namespace

bool IsShardedTable(Oid relation) {
  const core::ShardMap* map = CurrentShardMap();
  return map && map->FindTable(relation);
}

TravellingStatement* MakeTravellingStatement(Query* query, IsEverywhere is_everywhere) {
  CheckTables(query, is_everywhere);
  auto* copy = static_cast<Query*>(copyObjectImpl(query));
  FoldViews(copy);
  ForgetRowSecurity(copy);
  auto* statement = static_cast<TravellingStatement*>(palloc0(sizeof(TravellingStatement)));
  statement->parameters = HoistParameters(copy);
  CheckFunctions(copy);
  statement->writes = MayWrite(query);
  const char* views = TravellingViews(copy);
  RepairForDeparse(copy);
  statement->sql = psprintf("%s%s", views, Deparse(MakeResultPortable(copy)));
  return statement;
}

}  // namespace teamscale

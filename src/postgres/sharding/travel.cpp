#include "teamscale/postgres/sharding/travel.h"

#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/sharding/hoisting.h"
#include "teamscale/postgres/sharding/lossless_settings.h"
#include "teamscale/postgres/sharding/portable_result.h"
#include "teamscale/postgres/sharding/statement_repair.h"
#include "teamscale/postgres/sharding/travel_limits.h"
#include "teamscale/postgres/sharding/view_folding.h"

extern "C" {
#include "utils/ruleutils.h"
}

namespace teamscale {

namespace {

// The other node has this session's search_path and, for literals, reads any of these styles.
char* Deparse(Query* query) {
  int settings = EnterLosslessSettings();
  char* sql = pg_get_querydef(query, false);
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
  RepairForDeparse(copy);
  statement->sql = Deparse(MakeResultPortable(copy));
  return statement;
}

}  // namespace teamscale

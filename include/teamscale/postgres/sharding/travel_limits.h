// What a statement may hold when it runs on another node. Plain dialect; everything here raises
// 0A000 with a DETAIL and a HINT for what would mean something else there.
#pragma once

#include "teamscale/postgres/boundary/server.h"
#include "teamscale/postgres/sharding/travel.h"

namespace teamscale {

// Of the query as the planner sees it: its tables, and all that its views hold.
void CheckTables(Query* query, IsEverywhere is_everywhere);

// Of what is left when parameters were hoisted: functions whose answer or effect belongs to this
// session.
void CheckFunctions(Query* query);

// Whether running it may write there: DML, row locks, functions that are not known to be harmless.
bool MayWrite(Query* query);

}  // namespace teamscale

#include "teamscale/postgres/sharding/route_portal.h"

#include "teamscale/postgres/cluster/node_session.h"
#include "teamscale/postgres/sharding/route.h"
#include "teamscale/postgres/sharding/route_node.h"

extern "C" {
#include "tcop/pquery.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
}

namespace teamscale {

namespace {

// Whether a routed statement may wait in the unnamed portal. It may have run since, or be gone.
bool unnamed_may_wait = false;

// What the expressions of its parameters run is nested in the statement.
void ExecuteNested(PlanState* state) {
  int level = EnterNestedExecution();
  PG_TRY();
  { ExecuteRoute(state); }
  PG_FINALLY();
  { LeaveNestedExecution(level); }
  PG_END_TRY();
}

// As the portal would when its turn comes.
void ExecuteIn(Portal portal) {
  ResourceOwner owner = CurrentResourceOwner;
  PushActiveSnapshot(portal->queryDesc->snapshot);
  PG_TRY();
  {
    CurrentResourceOwner = portal->resowner;
    ExecuteNested(portal->queryDesc->planstate);
  }
  PG_FINALLY();
  { CurrentResourceOwner = owner; }
  PG_END_TRY();
  PopActiveSnapshot();
}

}  // namespace

bool StartsPortal(const QueryDesc* query) {
  // What a client sends as simple text, and EXECUTE, run in portals that nobody can see.
  return ActivePortal && ActivePortal->status == PORTAL_DEFINED && ActivePortal->visible &&
         ActivePortal->strategy == PORTAL_ONE_SELECT &&
         linitial_node(PlannedStmt, ActivePortal->stmts) == query->plannedstmt;
}

void ExecuteForStartingPortal(QueryDesc* query) {
  if (!IsRoute(query->plannedstmt)) return;
  if (*ActivePortal->name)
    ExecuteNested(query->planstate);
  else
    unnamed_may_wait = true;
}

void ExecuteForWaitingPortal() {
  if (!unnamed_may_wait) return;
  unnamed_may_wait = false;
  Portal portal = GetPortalByName("");
  if (PortalIsValid(portal) && portal->status == PORTAL_READY && portal->queryDesc)
    ExecuteIn(portal);
}

}  // namespace teamscale

// The custom plan node "Teamscale Route" and what it carries. Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"
#include "teamscale/postgres/sharding/pin_resolution.h"

extern "C" {
#include "executor/execdesc.h"
#include "nodes/execnodes.h"
#include "nodes/extensible.h"
#include "nodes/plannodes.h"
}

namespace teamscale {

// custom_private holds these in this order; custom_exprs the pins' values and then the parameters.
struct RouteParts {
  // The travelling statement; null when the query names tables of this node only, so that it cannot
  // travel: then the query, to say so when another node turns out to own the rows.
  char* sql;
  Query* query;
  bool writes;  // whether it may take a transaction id
  InsertedKey inserted;
  PlannedStmt* local_plan;  // null when the owner was known to be another node
  List* pins;               // of KeyPin*
  List* parameters;         // Expr of $1, $2, ... of sql
};

CustomScan* MakeRouteNode(const RouteParts& parts);
RouteParts ReadRouteNode(const CustomScan* node);
bool IsRouteNode(const Plan* plan);

// Sends the statement and takes all its rows, unless it has been done, or the state is another
// node's: then false. The node does so itself when its first row is asked for.
bool ExecuteRoute(PlanState* state);

// Registers the node's methods. Called once by InitRoute.
void InitRouteNode();

}  // namespace teamscale

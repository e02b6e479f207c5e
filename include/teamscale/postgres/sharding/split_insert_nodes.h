// The plan nodes of a split INSERT, from the top:
//
//   Teamscale Returning   only with RETURNING: this node's rows and the other nodes', in the order
//                         of the source where every row that was proposed gave one
//   ModifyTable           PostgreSQL's own, for this node's rows
//   Teamscale Insert      takes the other nodes' rows out of the source and sends them
//   (source)              PostgreSQL's plan; in it Teamscale Source where the source reads sharded
//                         tables, with the plan that the planner hook made for it
//
// Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "nodes/extensible.h"
#include "nodes/plannodes.h"
}

namespace teamscale {

// How rows reach the other nodes.
struct SplitInsertPlan {
  Oid parent;
  List* columns;     // attribute numbers of what is sent
  char* statement;   // the INSERT for the other nodes, or null: COPY
  List* parameters;  // of the statement: expressions, and an ArrayParameter for each column
  bool one_batch;    // a node must see all of its rows in one statement
};

// A Param that stands for the array of the values of the column at this index of columns.
Param* ArrayParameter(int index, Oid array_type);
// Its index, or -1 for any other expression.
int ArrayParameterIndex(const Node* expression);

// These put a node above child, whose rows it passes on.
CustomScan* MakeInsertNode(Plan* child, const SplitInsertPlan* insert);
CustomScan* MakeReturningNode(Plan* modify_table);
// Takes the place of a scan of the range table entry rti, and gives the rows of the source.
CustomScan* MakeSourceNode(const Scan* scan, PlannedStmt* source);

bool IsInsertNode(const Plan* plan);
bool IsReturningNode(const Plan* plan);

// For copies of plans that are read back from text; each is called once by InitSplitInsert.
void RegisterInsertNode();
void RegisterReturningNode();
void RegisterSourceNode();

}  // namespace teamscale

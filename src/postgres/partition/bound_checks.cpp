#include "teamscale/postgres/partition/bound_checks.h"

#include "teamscale/postgres/boundary/tree.h"
#include "teamscale/postgres/partition/bounds.h"
#include "teamscale/postgres/partition/new_bounds.h"

extern "C" {
#include "access/table.h"
#include "access/xact.h"
#include "catalog/heap.h"
#include "catalog/partition.h"
#include "nodes/makefuncs.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "utils/partcache.h"
#include "utils/rel.h"
}

namespace teamscale {

namespace {

PartitionBoundSpec* BoundOfPartition(Oid partition) {
  return const_cast<PartitionBoundSpec*>(ReadPartitionBound(partition));
}

// What rows of a partition of that bound meet, with the table's columns.
List* QualOf(Relation table, PartitionBoundSpec* bound) {
  return get_qual_from_partbound(table, bound);
}

Expr* Not(Expr* condition) { return makeBoolExpr(NOT_EXPR, list_make1(condition), -1); }

// Conditions on the table's columns as a constraint of another one that has them.
void AddCheck(Relation table, List* conditions, Oid id, const char* name, bool valid) {
  Relation relation = table_open(id, NoLock);
  List* mapped = map_partition_varattnos(conditions, 1, relation, table);
  auto* constraint = makeNode(Constraint);
  constraint->contype = CONSTR_CHECK;
  constraint->conname = const_cast<char*>(name);
  constraint->location = -1;
  constraint->cooked_expr = nodeToString(make_ands_explicit(mapped));
  constraint->initially_valid = valid;
  constraint->skip_validation = !valid;
  AddRelationNewConstraints(relation, NIL, list_make1(constraint), false, true, false, nullptr);
  table_close(relation, NoLock);
  CommandCounterIncrement();
}

// What any partition of the table meets, as the table is a partition itself.
List* QualOfAncestors(Relation table) { return CopyTree(RelationGetPartitionQual(table)); }

// --- What a default partition does not hold, as the server puts it

// The bounds of a table's partitions, but for the default one.
List* AppendBounds(List* bounds, Relation table, const List* without) {
  PartitionDesc partitions = RelationGetPartitionDesc(table, false);
  for (int i = 0; i < partitions->nparts; ++i) {
    PartitionBoundSpec* bound = BoundOfPartition(partitions->oids[i]);
    if (!bound->is_default && !list_member_oid(without, partitions->oids[i]))
      bounds = lappend(bounds, bound);
  }
  return bounds;
}

// One list of all values, in their order.
PartitionBoundSpec* AllValues(PartitionKey key, const List* bounds) {
  auto* all = makeNode(PartitionBoundSpec);
  all->strategy = PARTITION_STRATEGY_LIST;
  ListCell* cell;
  foreach (cell, bounds) {
    ListCell* value;
    foreach (value, lfirst_node(PartitionBoundSpec, cell)->listdatums) {
      const auto* constant = lfirst_node(Const, value);
      int place = 0;
      while (place < list_length(all->listdatums) &&
             CompareConsts(key, 0, list_nth_node(Const, all->listdatums, place), constant) < 0)
        ++place;
      all->listdatums = list_insert_nth(all->listdatums, place, const_cast<Const*>(constant));
    }
  }
  return all;
}

// That a key is not null comes once and not with each range. A range without ends says nothing
// else.
List* WithoutNullTests(const List* qual, int key_columns) {
  List* rest = list_copy_tail(qual, key_columns);
  return rest == NIL ? list_copy(qual) : rest;
}

Expr* WithinRanges(Relation table, const List* bounds) {
  int columns = RelationGetPartitionKey(table)->partnatts;
  List* ranges = NIL;
  List* null_tests = NIL;
  ListCell* cell;
  foreach (cell, bounds) {
    List* qual = QualOf(table, lfirst_node(PartitionBoundSpec, cell));
    null_tests = list_truncate(list_copy(qual), columns);
    ranges = lappend(ranges, make_ands_explicit(WithoutNullTests(qual, columns)));
  }
  Expr* any = list_length(ranges) > 1 ? makeBoolExpr(OR_EXPR, ranges, -1)
                                      : static_cast<Expr*>(linitial(ranges));
  return makeBoolExpr(AND_EXPR, lappend(null_tests, any), -1);
}

Expr* WithinOthers(Relation table, const List* bounds) {
  PartitionKey key = RelationGetPartitionKey(table);
  if (key->strategy == PARTITION_STRATEGY_LIST)
    return make_ands_explicit(QualOf(table, AllValues(key, bounds)));
  return WithinRanges(table, bounds);
}

const ConstrCheck* FindCheck(Relation table, const char* name) {
  const TupleConstr* constraints = RelationGetDescr(table)->constr;
  for (int i = 0; constraints && i < constraints->num_check; ++i)
    if (strcmp(constraints->check[i].ccname, name) == 0) return &constraints->check[i];
  return nullptr;
}

}  // namespace

void AddBoundCheck(Oid table, Oid target) {
  Relation relation = table_open(table, AccessShareLock);
  List* conditions =
      list_concat(QualOf(relation, BoundOfPartition(target)), QualOfAncestors(relation));
  AddCheck(relation, conditions, target, kBoundCheck, true);
  table_close(relation, NoLock);
}

void AddDefaultCheck(Oid table, const List* without, Oid other, Oid target) {
  Relation relation = table_open(table, AccessShareLock);
  Relation other_relation = table_open(other, AccessShareLock);
  List* bounds = AppendBounds(AppendBounds(NIL, relation, without), other_relation, NIL);
  List* conditions = QualOfAncestors(relation);
  if (bounds != NIL) conditions = lcons(Not(WithinOthers(relation, bounds)), conditions);
  AddCheck(relation, conditions, target, kBoundCheck, false);
  table_close(other_relation, NoLock);
  table_close(relation, NoLock);
}

void AddFence(Oid table, const List* targets, Oid default_partition) {
  Relation relation = table_open(table, AccessShareLock);
  List* conditions = NIL;
  ListCell* cell;
  foreach (cell, targets)
    conditions = lappend(
        conditions, Not(make_ands_explicit(QualOf(relation, BoundOfPartition(lfirst_oid(cell))))));
  AddCheck(relation, conditions, default_partition, kFence, false);
  table_close(relation, NoLock);
}

bool HasCheck(Oid table, const char* name) {
  Relation relation = table_open(table, AccessShareLock);
  bool has = FindCheck(relation, name) != nullptr;
  table_close(relation, NoLock);
  return has;
}

bool HasValidCheck(Oid table, const char* name) {
  Relation relation = table_open(table, AccessShareLock);
  const ConstrCheck* check = FindCheck(relation, name);
  bool has = check && check->ccvalid;
  table_close(relation, NoLock);
  return has;
}

}  // namespace teamscale

#include "teamscale/postgres/partition/new_bounds.h"

#include "teamscale/postgres/partition/bounds.h"

extern "C" {
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
}

namespace teamscale {

namespace {

[[noreturn]] void Refuse(const char* message, const char* detail, const char* hint) {
  ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg_internal("%s", message),
                  detail ? errdetail_internal("%s", detail) : 0, hint ? errhint("%s", hint) : 0));
  pg_unreachable();
}

// --- Constants of the partition key

Const* ReadConst(PartitionKey key, const char* text) {
  Oid type = key->parttypid[0];
  Datum value{0};
  if (text) {
    Oid input, parameter;
    getTypeInputInfo(type, &input, &parameter);
    value = OidInputFunctionCall(input, const_cast<char*>(text), parameter, key->parttypmod[0]);
  }
  return makeConst(type, key->parttypmod[0], key->parttypcoll[0], key->parttyplen[0], value,
                   text == nullptr, key->parttypbyval[0]);
}

const char* ConstLiteral(const Const* value) {
  return value->constisnull ? "NULL" : quote_literal_cstr(ConstText(value));
}

// --- One side of a range

int CompareDatums(PartitionKey key, int column, const PartitionRangeDatum* a,
                  const PartitionRangeDatum* b) {
  if (a->kind != b->kind) return a->kind < b->kind ? -1 : 1;
  if (a->kind != PARTITION_RANGE_DATUM_VALUE) return 0;
  return CompareConsts(key, column, castNode(Const, a->value), castNode(Const, b->value));
}

int CompareSides(PartitionKey key, const List* a, const List* b) {
  for (int i = 0; i < key->partnatts; ++i) {
    const auto* left = list_nth_node(PartitionRangeDatum, a, i);
    int order = CompareDatums(key, i, left, list_nth_node(PartitionRangeDatum, b, i));
    // What comes behind MINVALUE and MAXVALUE says nothing.
    if (order != 0 || left->kind != PARTITION_RANGE_DATUM_VALUE) return order;
  }
  return 0;
}

List* SideAt(Const* value) {
  auto* datum = makeNode(PartitionRangeDatum);
  datum->kind = PARTITION_RANGE_DATUM_VALUE;
  datum->value = reinterpret_cast<Node*>(value);
  datum->location = -1;
  return list_make1(datum);
}

const char* SideText(const List* side) {
  StringInfoData text;
  initStringInfo(&text);
  ListCell* cell;
  foreach (cell, side) {
    const auto* datum = lfirst_node(PartitionRangeDatum, cell);
    appendStringInfoString(&text, text.len > 0 ? ", " : "");
    appendStringInfoString(&text, datum->kind == PARTITION_RANGE_DATUM_MINVALUE ? "MINVALUE"
                                  : datum->kind == PARTITION_RANGE_DATUM_MAXVALUE
                                      ? "MAXVALUE"
                                      : ConstLiteral(castNode(Const, datum->value)));
  }
  return text.data;
}

// --- Bounds

PartitionBoundSpec* NewBound(char strategy) {
  auto* bound = makeNode(PartitionBoundSpec);
  bound->strategy = strategy;
  bound->location = -1;
  return bound;
}

PartitionBoundSpec* RangeFrom(List* lower, List* upper) {
  PartitionBoundSpec* bound = NewBound(PARTITION_STRATEGY_RANGE);
  bound->lowerdatums = lower;
  bound->upperdatums = upper;
  return bound;
}

PartitionBoundSpec* ListOf(List* values) {
  PartitionBoundSpec* bound = NewBound(PARTITION_STRATEGY_LIST);
  bound->listdatums = values;
  return bound;
}

PartitionBoundSpec* HashOf(int modulus, int remainder) {
  PartitionBoundSpec* bound = NewBound(PARTITION_STRATEGY_HASH);
  bound->modulus = modulus;
  bound->remainder = remainder;
  return bound;
}

PartitionBoundSpec* DefaultOf(char strategy) {
  PartitionBoundSpec* bound = NewBound(strategy);
  bound->is_default = true;
  return bound;
}

const char* ListText(const List* values) {
  StringInfoData text;
  initStringInfo(&text);
  ListCell* cell;
  foreach (cell, values)
    appendStringInfo(&text, "%s%s", text.len > 0 ? ", " : "",
                     ConstLiteral(lfirst_node(Const, cell)));
  return text.data;
}

const char* Text(const PartitionBoundSpec* bound) {
  if (bound->is_default) return "DEFAULT";
  switch (bound->strategy) {
    case PARTITION_STRATEGY_RANGE:
      return psprintf("FOR VALUES FROM (%s) TO (%s)", SideText(bound->lowerdatums),
                      SideText(bound->upperdatums));
    case PARTITION_STRATEGY_LIST:
      return psprintf("FOR VALUES IN (%s)", ListText(bound->listdatums));
    default:
      return psprintf("FOR VALUES WITH (MODULUS %d, REMAINDER %d)", bound->modulus,
                      bound->remainder);
  }
}

// PostgreSQL's rule; a bound that breaks it could not be attached in the end.
void RequireFittingModulus(Relation parent, int modulus) {
  PartitionDesc partitions = RelationGetPartitionDesc(parent, false);
  for (int i = 0; i < partitions->boundinfo->ndatums; ++i) {
    int other = DatumGetInt32(partitions->boundinfo->datums[i][0]);
    if (other % modulus != 0 && modulus % other != 0)
      Refuse("the moduli of hash partitions must divide each other",
             psprintf("The new modulus would be %d, and there is a partition of modulus %d.",
                      modulus, other),
             nullptr);
  }
}

// --- Splitting

// The values between which ranges lie: in order, none twice.
List* AscendingConsts(PartitionKey key, const List* at) {
  List* values = NIL;
  ListCell* cell;
  foreach (cell, at) {
    auto* text = static_cast<const char*>(lfirst(cell));
    if (!text) Refuse("a bound between ranges must not be null", nullptr, nullptr);
    Const* value = ReadConst(key, text);
    if (values != NIL && CompareConsts(key, 0, llast_node(Const, values), value) >= 0)
      Refuse("the bounds between ranges must ascend",
             psprintf("%s is not greater than the one before it.", ConstLiteral(value)), nullptr);
    values = lappend(values, value);
  }
  return values;
}

// From each side to the next.
List* RangesBetween(List* sides) {
  List* bounds = NIL;
  for (int i = 0; i + 1 < list_length(sides); ++i)
    bounds = lappend(bounds, RangeFrom(static_cast<List*>(list_nth(sides, i)),
                                       static_cast<List*>(list_nth(sides, i + 1))));
  return bounds;
}

List* SplitRange(PartitionKey key, const PartitionBoundSpec* bound, const List* at) {
  List* sides = list_make1(bound->lowerdatums);
  ListCell* cell;
  foreach (cell, AscendingConsts(key, at)) {
    List* side = SideAt(lfirst_node(Const, cell));
    if (CompareSides(key, bound->lowerdatums, side) >= 0 ||
        CompareSides(key, side, bound->upperdatums) >= 0)
      Refuse("a partition is split at bounds within its own",
             psprintf("%s is not between them: %s.", SideText(side), Text(bound)), nullptr);
    sides = lappend(sides, side);
  }
  return RangesBetween(lappend(sides, bound->upperdatums));
}

bool Contains(PartitionKey key, const List* values, const Const* value) {
  ListCell* cell;
  foreach (cell, values)
    if (CompareConsts(key, 0, lfirst_node(Const, cell), value) == 0) return true;
  return false;
}

List* DistinctConsts(PartitionKey key, const List* at) {
  List* values = NIL;
  ListCell* cell;
  foreach (cell, at) {
    Const* value = ReadConst(key, static_cast<const char*>(lfirst(cell)));
    if (!Contains(key, values, value)) values = lappend(values, value);
  }
  return values;
}

List* SplitList(PartitionKey key, const PartitionBoundSpec* bound, const List* at) {
  List* leaving = DistinctConsts(key, at);
  ListCell* cell;
  foreach (cell, leaving)
    if (!Contains(key, bound->listdatums, lfirst_node(Const, cell)))
      Refuse("the partition does not hold a value that is to leave it",
             psprintf("The value is %s, and the partition is %s.",
                      ConstLiteral(lfirst_node(Const, cell)), Text(bound)),
             nullptr);
  List* staying = NIL;
  foreach (cell, bound->listdatums)
    if (!Contains(key, leaving, lfirst_node(Const, cell))) staying = lappend(staying, lfirst(cell));
  if (staying == NIL) Refuse("at least one value must stay in the partition", Text(bound), nullptr);
  return list_make2(ListOf(leaving), ListOf(staying));
}

List* SplitHash(Relation parent, const PartitionBoundSpec* bound) {
  if (bound->modulus > INT_MAX / 2) Refuse("the modulus cannot be doubled", Text(bound), nullptr);
  RequireFittingModulus(parent, bound->modulus * 2);
  return list_make2(HashOf(bound->modulus * 2, bound->remainder),
                    HashOf(bound->modulus * 2, bound->remainder + bound->modulus));
}

List* SplitDefault(Relation parent, PartitionKey key, const List* at) {
  List* bounds;
  if (key->strategy == PARTITION_STRATEGY_LIST) {
    bounds = list_make1(ListOf(DistinctConsts(key, at)));
  } else {
    if (list_length(at) < 2)
      Refuse("ranges that leave a default partition need two bounds at least", nullptr, nullptr);
    List* sides = NIL;
    ListCell* cell;
    foreach (cell, AscendingConsts(key, at))
      sides = lappend(sides, SideAt(lfirst_node(Const, cell)));
    bounds = RangesBetween(sides);
  }
  ListCell* cell;
  // Raises when another partition holds some of it.
  foreach (cell, bounds)
    check_new_partition_bound(const_cast<char*>("the new partition"), parent,
                              lfirst_node(PartitionBoundSpec, cell), nullptr);
  return lappend(bounds, DefaultOf(key->strategy));
}

void RequireOneColumn(PartitionKey key) {
  if (key->partnatts == 1) return;
  ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                  errmsg("only partitions by one column can be split at bounds"),
                  errdetail("These are partitioned by %d.", key->partnatts)));
}

List* Split(Relation parent, const PartitionBoundSpec* bound, const List* at) {
  PartitionKey key = RelationGetPartitionKey(parent);
  if (key->strategy == PARTITION_STRATEGY_HASH) {
    if (at != NIL)
      Refuse("a hash partition is split in two halves", "at is given.", "Leave at out.");
    return SplitHash(parent, bound);
  }
  RequireOneColumn(key);
  if (at == NIL)
    Refuse("at is needed to split a partition", nullptr,
           key->strategy == PARTITION_STRATEGY_LIST
               ? "It is an array of the values that get a partition of their own."
               : "It is an array of the bounds between the new partitions.");
  if (bound->is_default) return SplitDefault(parent, key, at);
  if (key->strategy == PARTITION_STRATEGY_LIST) return SplitList(key, bound, at);
  return SplitRange(key, bound, at);
}

// --- Merging

// Ranges in ascending order.
List* InsertByLower(PartitionKey key, List* bounds, const PartitionBoundSpec* bound) {
  int place = 0;
  while (place < list_length(bounds) &&
         CompareSides(key, list_nth_node(PartitionBoundSpec, bounds, place)->lowerdatums,
                      bound->lowerdatums) < 0)
    ++place;
  return list_insert_nth(bounds, place, const_cast<PartitionBoundSpec*>(bound));
}

const PartitionBoundSpec* MergeRanges(PartitionKey key, const List* bounds) {
  List* sorted = NIL;
  ListCell* cell;
  foreach (cell, bounds) sorted = InsertByLower(key, sorted, lfirst_node(PartitionBoundSpec, cell));
  for (int i = 0; i + 1 < list_length(sorted); ++i) {
    const auto* one = list_nth_node(PartitionBoundSpec, sorted, i);
    const auto* next = list_nth_node(PartitionBoundSpec, sorted, i + 1);
    if (CompareSides(key, one->upperdatums, next->lowerdatums) != 0)
      Refuse("the partitions are not adjacent",
             psprintf("There is a gap between %s and %s.", Text(one), Text(next)), nullptr);
  }
  return RangeFrom(linitial_node(PartitionBoundSpec, sorted)->lowerdatums,
                   llast_node(PartitionBoundSpec, sorted)->upperdatums);
}

const PartitionBoundSpec* MergeLists(const List* bounds) {
  List* values = NIL;
  ListCell* cell;
  foreach (cell, bounds)
    values = list_concat(values, lfirst_node(PartitionBoundSpec, cell)->listdatums);
  return ListOf(values);
}

const PartitionBoundSpec* MergeHashes(Relation parent, const List* bounds) {
  const auto* first = linitial_node(PartitionBoundSpec, bounds);
  int count = list_length(bounds);
  int modulus = first->modulus / count;
  ListCell* cell;
  foreach (cell, bounds) {
    const auto* bound = lfirst_node(PartitionBoundSpec, cell);
    // Distinct remainders that agree modulo the quotient are all there are, if they are so many.
    if (bound->modulus != first->modulus || first->modulus % count != 0 ||
        bound->remainder % modulus != first->remainder % modulus)
      Refuse("the hash partitions do not make up a whole one",
             psprintf("%s and %s.", Text(first), Text(bound)),
             "They need the same modulus, and remainders that are equal modulo the modulus divided "
             "by their number.");
  }
  RequireFittingModulus(parent, modulus);
  return HashOf(modulus, first->remainder % modulus);
}

const PartitionBoundSpec* Merge(Relation parent, const List* bounds) {
  PartitionKey key = RelationGetPartitionKey(parent);
  ListCell* cell;
  foreach (cell, bounds)
    if (lfirst_node(PartitionBoundSpec, cell)->is_default) return DefaultOf(key->strategy);
  switch (key->strategy) {
    case PARTITION_STRATEGY_RANGE:
      return MergeRanges(key, bounds);
    case PARTITION_STRATEGY_LIST:
      return MergeLists(bounds);
    default:
      return MergeHashes(parent, bounds);
  }
}

}  // namespace

int CompareConsts(PartitionKey key, int column, const Const* a, const Const* b) {
  if (a->constisnull || b->constisnull) return b->constisnull - a->constisnull;
  return DatumGetInt32(FunctionCall2Coll(&key->partsupfunc[column], key->partcollation[column],
                                         a->constvalue, b->constvalue));
}

const char* BoundText(const PartitionBoundSpec* bound) {
  static constexpr const char* kSettings[][2] = {{"DateStyle", "ISO, YMD"},
                                                 {"IntervalStyle", "postgres"},
                                                 {"TimeZone", "UTC"},
                                                 {"extra_float_digits", "1"},
                                                 {"bytea_output", "hex"}};
  int level = NewGUCNestLevel();
  for (const auto& [name, value] : kSettings)
    set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
  const char* text = Text(bound);
  AtEOXact_GUC(true, level);
  return text;
}

List* SplitBounds(Oid parent, Oid partition, const List* at) {
  Relation relation = table_open(parent, AccessShareLock);
  List* bounds = Split(relation, ReadPartitionBound(partition), at);
  table_close(relation, NoLock);
  return bounds;
}

const PartitionBoundSpec* MergedBound(Oid parent, const List* partitions) {
  List* bounds = NIL;
  ListCell* cell;
  foreach (cell, partitions)
    bounds = lappend(bounds, const_cast<PartitionBoundSpec*>(ReadPartitionBound(lfirst_oid(cell))));
  if (list_length(bounds) < 2) Refuse("a merge takes two partitions at least", nullptr, nullptr);
  Relation relation = table_open(parent, AccessShareLock);
  const PartitionBoundSpec* bound = Merge(relation, bounds);
  table_close(relation, NoLock);
  return bound;
}

}  // namespace teamscale

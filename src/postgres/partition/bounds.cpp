#include "teamscale/postgres/partition/bounds.h"

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
}

namespace teamscale {

namespace {

const Const* RangeConst(const List* bounds) {
  auto* bound = linitial_node(PartitionRangeDatum, bounds);
  return bound->kind == PARTITION_RANGE_DATUM_VALUE ? castNode(Const, bound->value) : nullptr;
}

std::optional<core::Point> PointOfBound(const List* bounds, const RangeKey* key) {
  const Const* value = RangeConst(bounds);
  if (!value || !key) return std::nullopt;
  return PointOfValue(*key, value->constvalue);
}

std::string TextOrNothing(const List* texts, int place) {
  auto* text = static_cast<const char*>(list_nth(texts, place));
  return text ? text : "";
}

core::ListBound ListBoundOf(const List* texts) {
  core::ListBound bound;
  for (int i = 0; i < list_length(texts); ++i) {
    auto* text = static_cast<const char*>(list_nth(texts, i));
    bound.values.push_back(text ? core::ListValue(text) : std::nullopt);
  }
  return bound;
}

}  // namespace

const PartitionBoundSpec* ReadPartitionBound(Oid partition) {
  HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(partition));
  if (!HeapTupleIsValid(tuple)) return nullptr;
  bool is_null;
  Datum bound = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_relpartbound, &is_null);
  auto* spec =
      is_null ? nullptr : castNode(PartitionBoundSpec, stringToNode(TextDatumGetCString(bound)));
  ReleaseSysCache(tuple);
  return spec;
}

const char* ConstText(const Const* value) {
  if (value->constisnull) return nullptr;
  Oid output;
  bool is_varlena;
  getTypeOutputInfo(value->consttype, &output, &is_varlena);
  return OidOutputFunctionCall(output, value->constvalue);
}

List* BoundTexts(const PartitionBoundSpec* bound) {
  List* texts = NIL;
  if (bound->strategy == PARTITION_STRATEGY_RANGE && !bound->is_default) {
    for (const List* side : {bound->lowerdatums, bound->upperdatums}) {
      const Const* value = RangeConst(side);
      texts = lappend(texts, value ? const_cast<char*>(ConstText(value)) : nullptr);
    }
  }
  ListCell* cell;
  foreach (cell, bound->listdatums)
    texts = lappend(texts, const_cast<char*>(ConstText(lfirst_node(Const, cell))));
  return texts;
}

core::Bound BoundOf(const PartitionBoundSpec* bound, const List* texts, const RangeKey* key) {
  if (bound->is_default) return core::DefaultBound{};
  switch (bound->strategy) {
    case PARTITION_STRATEGY_RANGE:
      return core::RangeBound{.range = {.lower = PointOfBound(bound->lowerdatums, key),
                                        .upper = PointOfBound(bound->upperdatums, key)},
                              .lower_text = TextOrNothing(texts, 0),
                              .upper_text = TextOrNothing(texts, 1)};
    case PARTITION_STRATEGY_LIST:
      return ListBoundOf(texts);
    default:
      return core::HashBound{.modulus = static_cast<std::uint32_t>(bound->modulus),
                             .remainder = static_cast<std::uint32_t>(bound->remainder)};
  }
}

}  // namespace teamscale

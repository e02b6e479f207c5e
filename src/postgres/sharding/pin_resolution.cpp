#include "teamscale/postgres/sharding/pin_resolution.h"

#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/sharding/key_router.h"

extern "C" {
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "utils/array.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
}

namespace teamscale {

namespace {

struct Search {
  const core::ShardMap* map;
  InsertedKey inserted;
  bool raise;        // whether a second owner is an error
  bool has_several;  // whether there was one
  Oid relation;      // whose key found the first owner
  Owner owner;
};

[[noreturn]] void RefuseSeveralNodes(const Search& search, Oid relation,
                                     const core::Bucket* bucket) {
  ereport(ERROR,
          (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
           errmsg("the statement's keys belong to different nodes"),
           errdetail("A key of \"%s\" belongs to node \"%s\", a key of \"%s\" to node \"%s\".",
                     get_rel_name(search.relation),
                     search.map->FindNode(search.owner.node)->name.c_str(), get_rel_name(relation),
                     search.map->FindNode(bucket->node)->name.c_str()),
           errhint("Use one statement for each key, in one transaction if need be.")));
  pg_unreachable();
}

void AddOwner(Search* search, Oid relation, const core::Bucket* bucket) {
  if (search->owner.bucket && search->owner.node != bucket->node) {
    if (search->raise) RefuseSeveralNodes(*search, relation, bucket);
    search->has_several = true;
  }
  if (!search->owner.bucket) {
    search->relation = relation;
    search->owner = {bucket->node, bucket};
  }
}

// A leaf's own bucket: any of this node's serves to name the node.
void AddThisNode(Search* search, Oid relation) {
  core::GroupId group = search->map->FindTable(relation)->group;
  for (const core::Bucket& bucket : search->map->buckets()) {
    if (bucket.group != group || bucket.node != search->map->local_node()) continue;
    AddOwner(search, relation, &bucket);
    return;
  }
}

void AddKey(Search* search, Oid relation, Datum value, bool is_null, Oid type) {
  const KeyRouter* router = GetKeyRouter(relation);
  bool inserts = search->inserted != InsertedKey::kNone;
  bool required = is_null ? search->inserted == InsertedKey::kOfOneRow : inserts;
  const core::Bucket* bucket = required ? RequireBucketOfKey(router, value, is_null, type)
                                        : BucketOfKey(router, value, is_null, type);
  // A split INSERT knows which rows there are.
  if (!bucket && is_null && inserts) search->has_several = true;
  // Nothing equals null; only an INSERT has a use for its bucket, which will refuse it.
  if (!bucket || (is_null && !inserts)) return;
  AddOwner(search, relation, bucket);
}

void AddArray(Search* search, Oid relation, Datum value) {
  ArrayType* array = DatumGetArrayTypeP(value);
  int16 length;
  bool by_value;
  char alignment;
  get_typlenbyvalalign(ARR_ELEMTYPE(array), &length, &by_value, &alignment);
  Datum* elements;
  bool* nulls;
  int count;
  deconstruct_array(array, ARR_ELEMTYPE(array), length, by_value, alignment, &elements, &nulls,
                    &count);
  for (int i = 0; i < count; ++i)
    AddKey(search, relation, elements[i], nulls[i], ARR_ELEMTYPE(array));
}

Datum Evaluate(Expr* expression, ParamListInfo parameters, bool* is_null) {
  if (IsA(expression, Const)) {
    auto* constant = reinterpret_cast<Const*>(expression);
    *is_null = constant->constisnull;
    return constant->constvalue;
  }
  // The context belongs to the current memory context and goes with it.
  ExprContext* context = CreateStandaloneExprContext();
  context->ecxt_param_list_info = parameters;
  ExprState* state = ExecInitExprWithParams(expression, parameters);
  Datum value = ExecEvalExprSwitchContext(state, context, is_null);
  if (!*is_null) {
    int16 length;
    bool by_value;
    get_typlenbyval(exprType(reinterpret_cast<Node*>(expression)), &length, &by_value);
    value = datumCopy(value, by_value, length);
  }
  FreeExprContext(context, true);
  return value;
}

void Run(Search* search, List* pins, ParamListInfo parameters) {
  ListCell* cell;
  foreach (cell, pins) {
    auto* pin = static_cast<KeyPin*>(lfirst(cell));
    if (!pin->value) {
      AddThisNode(search, pin->relation);
      continue;
    }
    bool is_null;
    Datum value = Evaluate(pin->value, parameters, &is_null);
    if (!pin->is_array)
      AddKey(search, pin->relation, value, is_null, exprType(reinterpret_cast<Node*>(pin->value)));
    else if (!is_null)
      AddArray(search, pin->relation, value);
  }
}

Search NewSearch(InsertedKey inserted, bool raise) {
  const core::ShardMap* map = CurrentShardMap();
  return {map, inserted, raise, false, InvalidOid, {map->local_node(), nullptr}};
}

}  // namespace

InsertedKey InsertedKeyOf(const Query* query) {
  if (query->commandType != CMD_INSERT) return InsertedKey::kNone;
  bool is_certain = query->jointree->fromlist == NIL && !query->jointree->quals;
  return is_certain ? InsertedKey::kOfOneRow : InsertedKey::kOfAnyRows;
}

Owner ResolvePins(List* pins, ParamListInfo parameters, InsertedKey inserted) {
  Search search = NewSearch(inserted, true);
  Run(&search, pins, parameters);
  return search.owner;
}

bool HaveOneOwner(List* pins, ParamListInfo parameters, InsertedKey inserted) {
  Search search = NewSearch(inserted, false);
  Run(&search, pins, parameters);
  return !search.has_several;
}

}  // namespace teamscale

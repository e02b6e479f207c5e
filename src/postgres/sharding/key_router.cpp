#include "teamscale/postgres/sharding/key_router.h"

#include "teamscale/core/sharding/bucket_hash.h"
#include "teamscale/postgres/cluster/map.h"

extern "C" {
#include "access/hash.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/typcache.h"
}

namespace teamscale {

namespace {

// How values of one type are hashed and compared with the key.
struct TypeRoute {
  Oid type;
  FmgrInfo hash;
  FmgrInfo equal;  // (key type, type); list sharding only
};

}  // namespace

struct KeyRouter {
  Oid parent;  // the hash table's key
  bool valid;
  MemoryContext context;
  const core::ShardMap* map;  // as of the router's making: another map needs another router
  core::GroupId group;
  core::Method method;
  AttrNumber attribute;
  Oid type;
  int32 typmod;
  Oid collation;
  Oid family;
  Oid hash_family;
  FmgrInfo input;  // of the key type: reads a list bucket's values
  Oid input_parameter;
  TypeRoute own;
  TypeRoute other;  // of the last other type that was asked for
};

namespace {

HTAB* routers = nullptr;

void OnInvalidation(Datum, Oid relation) {
  if (!routers) return;
  HASH_SEQ_STATUS scan;
  hash_seq_init(&scan, routers);
  while (auto* router = static_cast<KeyRouter*>(hash_seq_search(&scan)))
    if (!OidIsValid(relation) || router->parent == relation) router->valid = false;
}

bool FillTypeRoute(const KeyRouter* router, Oid type, TypeRoute* route) {
  route->type = InvalidOid;
  Oid hash = get_opfamily_proc(router->hash_family, type, type, HASHEXTENDED_PROC);
  if (!OidIsValid(hash)) return false;
  fmgr_info_cxt(hash, &route->hash, router->context);
  if (router->method == core::Method::kList) {
    Oid key_type = route == &router->own ? type : router->own.type;
    Oid equal = get_opfamily_member(router->family, key_type, type, BTEqualStrategyNumber);
    if (!OidIsValid(equal)) return false;
    fmgr_info_cxt(get_opcode(equal), &route->equal, router->context);
  }
  route->type = type;
  return true;
}

void Fill(KeyRouter* router, const core::ShardMap* map, const core::Table* table) {
  if (router->context)
    MemoryContextReset(router->context);
  else
    router->context =
        AllocSetContextCreate(CacheMemoryContext, "teamscale key router", ALLOCSET_SMALL_SIZES);
  router->map = map;
  router->group = table->group;
  router->method = map->FindGroup(table->group)->method;
  router->own.type = router->other.type = InvalidOid;

  Relation relation = table_open(router->parent, AccessShareLock);
  PartitionKey key = RelationGetPartitionKey(relation);
  if (!key || key->partnatts != 1 || key->partattrs[0] <= 0)
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("sharded table \"%s\" is not partitioned by one key column",
                           RelationGetRelationName(relation))));
  router->attribute = key->partattrs[0];
  router->type = key->parttypid[0];
  router->typmod = key->parttypmod[0];
  router->collation = key->partcollation[0];
  router->family = key->partopfamily[0];
  // The operator class may be declared for a type that the key's is binary coercible to (varchar
  // and text): its functions serve for the key's own values.
  Oid operator_type = key->partopcintype[0];
  table_close(relation, AccessShareLock);

  router->hash_family = router->method == core::Method::kHash
                            ? router->family
                            : lookup_type_cache(router->type, TYPECACHE_HASH_OPFAMILY)->hash_opf;
  if (!FillTypeRoute(router, operator_type, &router->own))
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION),
                    errmsg("the key type %s has no extended hash function",
                           format_type_be(router->type))));
  Oid input;
  getTypeInputInfo(router->type, &input, &router->input_parameter);
  fmgr_info_cxt(input, &router->input, router->context);
}

const TypeRoute* RouteOfType(const KeyRouter* router, Oid type) {
  if (type == router->type || type == router->own.type) return &router->own;
  auto* other = const_cast<TypeRoute*>(&router->other);
  if (other->type == type || FillTypeRoute(router, type, other)) return other;
  return IsBinaryCoercible(type, router->own.type) ? &router->own : nullptr;
}

Datum ReadListValue(const KeyRouter* router, const std::string& text) {
  return InputFunctionCall(const_cast<FmgrInfo*>(&router->input), const_cast<char*>(text.c_str()),
                           router->input_parameter, -1);
}

// As a plain table does: the key is NOT NULL.
[[noreturn]] void RaiseNullKey(const KeyRouter* router) {
  Relation relation = table_open(router->parent, AccessShareLock);
  const char* column =
      NameStr(TupleDescAttr(RelationGetDescr(relation), router->attribute - 1)->attname);
  ereport(ERROR,
          (errcode(ERRCODE_NOT_NULL_VIOLATION),
           errmsg("null value in column \"%s\" of relation \"%s\" violates not-null constraint",
                  column, RelationGetRelationName(relation)),
           errtablecol(relation, router->attribute)));
  pg_unreachable();
}

}  // namespace

void InitKeyRouter() { CacheRegisterRelcacheCallback(OnInvalidation, Datum{0}); }

const KeyRouter* GetKeyRouter(Oid parent) {
  const core::ShardMap* map = CurrentShardMap();
  const core::Table* table = map ? map->FindTable(parent) : nullptr;
  if (!table)
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
                    errmsg("\"%s\" is not a sharded table", get_rel_name(parent)),
                    errhint("Use teamscale.distribute_table() to shard it.")));
  if (!routers) {
    HASHCTL control{};
    control.keysize = sizeof(Oid);
    control.entrysize = sizeof(KeyRouter);
    routers = hash_create("teamscale key routers", 64, &control, HASH_ELEM | HASH_BLOBS);
  }
  bool found;
  auto* router = static_cast<KeyRouter*>(hash_search(routers, &parent, HASH_ENTER, &found));
  if (!found) {
    router->context = nullptr;
    router->valid = false;
  }
  if (!router->valid || router->map != map) {
    router->valid = false;
    Fill(router, map, table);
    router->valid = true;
  }
  return router;
}

Oid KeyType(const KeyRouter* router) { return router->type; }
int32 KeyTypmod(const KeyRouter* router) { return router->typmod; }
Oid KeyCollation(const KeyRouter* router) { return router->collation; }
AttrNumber KeyAttribute(const KeyRouter* router) { return router->attribute; }
Oid KeyOperatorFamily(const KeyRouter* router) { return router->family; }
Oid KeyHashFamily(const KeyRouter* router) { return router->hash_family; }

bool CanRouteType(const KeyRouter* router, Oid type) {
  return RouteOfType(router, type) != nullptr;
}

const core::Bucket* BucketOfKey(const KeyRouter* router, Datum value, bool is_null, Oid type) {
  if (is_null) {
    if (router->method == core::Method::kList) return nullptr;
    return router->map->FindHashBucket(router->group, 0);
  }
  const TypeRoute* route = RouteOfType(router, type);
  if (!route)
    ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
                    errmsg("a value of type %s is no key of \"%s\"", format_type_be(type),
                           get_rel_name(router->parent)),
                    errdetail("The key is of type %s.", format_type_be(router->type))));
  uint64 hash =
      DatumGetUInt64(FunctionCall2Coll(const_cast<FmgrInfo*>(&route->hash), router->collation,
                                       value, UInt64GetDatum(core::kPartitionSeed)));
  if (router->method == core::Method::kHash)
    return router->map->FindHashBucket(router->group, core::RowHash(hash));
  for (const core::ListCandidate& candidate :
       router->map->FindListCandidates(router->group, hash)) {
    Datum placed = ReadListValue(router, candidate.bucket->values[candidate.value]);
    if (DatumGetBool(FunctionCall2Coll(const_cast<FmgrInfo*>(&route->equal), router->collation,
                                       placed, value)))
      return candidate.bucket;
  }
  return nullptr;
}

const core::Bucket* RequireBucketOfKey(const KeyRouter* router, Datum value, bool is_null,
                                       Oid type) {
  const core::Bucket* bucket = BucketOfKey(router, value, is_null, type);
  if (bucket) return bucket;
  if (is_null) RaiseNullKey(router);
  Oid output;
  bool varlena;
  getTypeOutputInfo(type, &output, &varlena);
  ereport(ERROR, (errcode(ERRCODE_CHECK_VIOLATION),
                  errmsg("no bucket of \"%s\" holds the key %s", get_rel_name(router->parent),
                         quote_literal_cstr(OidOutputFunctionCall(output, value))),
                  errhint("Place the value on a node with teamscale.place_values().")));
  pg_unreachable();
}

}  // namespace teamscale

#include "teamscale/postgres/sharding/key_argument.h"

#include "teamscale/postgres/sharding/key_router.h"

extern "C" {
#include "access/table.h"
#include "catalog/pg_type.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
}

namespace teamscale {

namespace {

// As the key column would read it, its typmod included.
Datum ReadKey(Oid parent, const KeyRouter* router, char* text) {
  Oid input, io_parameter;
  getTypeInputInfo(KeyType(router), &input, &io_parameter);
  Relation relation = table_open(parent, AccessShareLock);
  int32 typmod = TupleDescAttr(RelationGetDescr(relation), KeyAttribute(router) - 1)->atttypmod;
  table_close(relation, NoLock);
  return OidInputFunctionCall(input, text, io_parameter, typmod);
}

char* WriteValue(Datum value, Oid type) {
  Oid output;
  bool varlena;
  getTypeOutputInfo(type, &output, &varlena);
  return OidOutputFunctionCall(output, value);
}

}  // namespace

const core::Bucket* BucketOfArgument(FunctionCallInfo fcinfo, int table_argument,
                                     int key_argument) {
  Oid parent = PG_GETARG_OID(table_argument);
  const KeyRouter* router = GetKeyRouter(parent);
  Datum value = PG_GETARG_DATUM(key_argument);
  Oid type = get_fn_expr_argtype(fcinfo->flinfo, key_argument);
  Oid key_type = KeyType(router);

  // An untyped literal arrives as a C string.
  if (type == UNKNOWNOID)
    return RequireBucketOfKey(router, ReadKey(parent, router, DatumGetCString(value)), false,
                              key_type);
  // ROW(...) has types of its own: it is read as the key's type would be.
  bool is_row = type == RECORDOID && type_is_rowtype(key_type);
  if (!is_row && OidIsValid(type) && CanRouteType(router, type))
    return RequireBucketOfKey(router, value, false, type);

  Oid cast = InvalidOid;
  CoercionPathType path = OidIsValid(type) && !is_row
                              ? find_coercion_pathway(key_type, type, COERCION_IMPLICIT, &cast)
                              : COERCION_PATH_NONE;
  if (path == COERCION_PATH_RELABELTYPE) return RequireBucketOfKey(router, value, false, key_type);
  if (path == COERCION_PATH_FUNC) {
    // A cast function takes, besides the value, a typmod and whether the cast is explicit.
    Datum key = OidFunctionCall3(cast, value, Int32GetDatum(-1), BoolGetDatum(false));
    return RequireBucketOfKey(router, key, false, key_type);
  }
  // What a driver sends as text.
  if (is_row || type == TEXTOID || type == VARCHAROID)
    return RequireBucketOfKey(router, ReadKey(parent, router, WriteValue(value, type)), false,
                              key_type);
  ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
                  errmsg("a value of type %s is no key of \"%s\"",
                         OidIsValid(type) ? format_type_be(type) : "unknown", get_rel_name(parent)),
                  errdetail("The key is of type %s.", format_type_be(key_type)),
                  errhint("Cast the value to %s.", format_type_be(key_type))));
  pg_unreachable();
}

}  // namespace teamscale

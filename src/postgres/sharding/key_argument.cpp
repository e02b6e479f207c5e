#include "teamscale/postgres/sharding/key_argument.h"

#include "teamscale/postgres/sharding/key_router.h"

extern "C" {
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
}

namespace teamscale {

namespace {

// As the key column would read it, its typmod included.
Datum ReadKey(const KeyRouter* router, char* text) {
  Oid input, io_parameter;
  getTypeInputInfo(KeyType(router), &input, &io_parameter);
  return OidInputFunctionCall(input, text, io_parameter, KeyTypmod(router));
}

// Whether a column of the key's type changes values that it is given, by its typmod or its
// domain's: numeric(6,2) rounds.
bool ColumnChangesValues(const KeyRouter* router) {
  int32 typmod = KeyTypmod(router);
  getBaseTypeAndTypmod(KeyType(router), &typmod);
  return typmod >= 0;
}

// The value that the column would hold. False when the type is not cast to the key's implicitly.
bool CoerceToColumn(const KeyRouter* router, Oid type, Datum* value) {
  int16 length;
  bool by_value;
  get_typlenbyval(type, &length, &by_value);
  auto* given = reinterpret_cast<Node*>(
      makeConst(type, -1, get_typcollation(type), length, *value, false, by_value));
  Node* coerced = coerce_to_target_type(nullptr, given, type, KeyType(router), KeyTypmod(router),
                                        COERCION_IMPLICIT, COERCE_IMPLICIT_CAST, -1);
  if (!coerced) return false;
  EState* executor = CreateExecutorState();
  ExprState* expression = ExecPrepareExpr(reinterpret_cast<Expr*>(coerced), executor);
  bool is_null;
  Datum result = ExecEvalExprSwitchContext(expression, GetPerTupleExprContext(executor), &is_null);
  get_typlenbyval(KeyType(router), &length, &by_value);
  *value = datumCopy(result, by_value, length);
  FreeExecutorState(executor);
  return true;
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
    return RequireBucketOfKey(router, ReadKey(router, DatumGetCString(value)), false, key_type);
  // ROW(...) has types of its own: it is read as the key's type would be.
  bool is_row = type == RECORDOID && type_is_rowtype(key_type);
  bool is_plain = OidIsValid(type) && !is_row;
  if (is_plain && !ColumnChangesValues(router) && CanRouteType(router, type))
    return RequireBucketOfKey(router, value, false, type);
  if (is_plain && CoerceToColumn(router, type, &value))
    return RequireBucketOfKey(router, value, false, key_type);
  // What a driver sends as text.
  if (is_row || type == TEXTOID || type == VARCHAROID)
    return RequireBucketOfKey(router, ReadKey(router, WriteValue(value, type)), false, key_type);
  ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
                  errmsg("a value of type %s is no key of \"%s\"",
                         OidIsValid(type) ? format_type_be(type) : "unknown", get_rel_name(parent)),
                  errdetail("The key is of type %s.", format_type_be(key_type)),
                  errhint("Cast the value to %s.", format_type_be(key_type))));
  pg_unreachable();
}

}  // namespace teamscale

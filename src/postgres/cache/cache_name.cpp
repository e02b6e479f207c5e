#include "teamscale/postgres/cache/cache_name.h"

#include "teamscale/postgres/cache/cache_request.h"

extern "C" {
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
}

namespace teamscale {

namespace {

bool HasName(const Cache* cache, const char* schema, const char* function) {
  const char* name = get_func_name(cache->function);
  if (!name || strcmp(name, function) != 0) return false;
  return !schema || strcmp(get_namespace_name(get_func_namespace(cache->function)), schema) == 0;
}

// By way of text when it is of another type: 42 for a bigint, an untyped parameter of a driver.
Datum ConvertKey(const KeyColumn& column, Oid type, Datum value) {
  if (getBaseType(type) == column.type) return value;
  char* text;
  if (type == UNKNOWNOID) {
    text = DatumGetCString(value);
  } else {
    Oid output;
    bool varlena;
    getTypeOutputInfo(type, &output, &varlena);
    text = OidOutputFunctionCall(output, value);
  }
  Oid input;
  Oid parameter;
  getTypeInputInfo(column.type, &input, &parameter);
  return OidInputFunctionCall(input, text, parameter, -1);
}

}  // namespace

Cache* CacheOfName(const char* name) {
  char* schema;
  char* function;
  SplitCacheName(name, &schema, &function);
  Caches all = AllCaches();
  Cache* found = nullptr;
  for (int i = 0; i < all.count; ++i) {
    if (!HasName(all.cache[i], schema, function)) continue;
    if (found)
      ereport(ERROR,
              (errcode(ERRCODE_AMBIGUOUS_FUNCTION), errmsg("several caches are named \"%s\"", name),
               errhint("Name the schema.")));
    found = all.cache[i];
  }
  if (!found)
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("cache \"%s\" does not exist", name),
                    errhint("The view teamscale.cache lists the caches.")));
  return found;
}

const char* QualifiedName(const Cache* cache) {
  return quote_qualified_identifier(get_namespace_name(get_func_namespace(cache->function)),
                                    get_func_name(cache->function));
}

void CheckCacheOwner(const Cache* cache) {
  if (!pg_proc_ownercheck(cache->function, GetUserId()))
    aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_FUNCTION, get_func_name(cache->function));
}

bool KeyOfArguments(FunctionCallInfo fcinfo, int first, const Cache* cache, NullableDatum* values) {
  Datum* arguments;
  Oid* types;
  bool* nulls;
  int count = extract_variadic_args(fcinfo, first, true, &arguments, &types, &nulls);
  if (count != cache->keys)
    ereport(ERROR,
            (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
             errmsg("cache \"%s\" has %d key columns", get_func_name(cache->function), cache->keys),
             errdetail("%d values are given.", count < 0 ? 0 : count)));
  for (int i = 0; i < count; ++i) {
    if (nulls[i]) return false;
    values[i] = {ConvertKey(cache->key[i], types[i], arguments[i]), false};
  }
  return true;
}

}  // namespace teamscale

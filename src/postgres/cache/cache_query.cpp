#include "teamscale/postgres/cache/cache_query.h"

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_operator.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
}

namespace teamscale {

namespace {

const char* TableOf(const Cache* cache) {
  return quote_qualified_identifier(get_namespace_name(get_rel_namespace(cache->table)),
                                    get_rel_name(cache->table));
}

// Never found by the caller's search_path.
void AppendEquality(StringInfo sql, Oid equality) {
  HeapTuple tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(equality));
  if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for operator %u", equality);
  auto* form = reinterpret_cast<Form_pg_operator>(GETSTRUCT(tuple));
  appendStringInfo(sql, "OPERATOR(%s.%s)", quote_identifier(get_namespace_name(form->oprnamespace)),
                   NameStr(form->oprname));
  ReleaseSysCache(tuple);
}

void AppendValue(StringInfo sql, const Cache* cache, char** names, int count) {
  if (count == 1) {
    appendStringInfoString(sql, quote_identifier(names[0]));
    return;
  }
  Oid row = cache->unique ? cache->result_type : get_element_type(cache->result_type);
  appendStringInfoString(sql, "ROW(");
  for (int i = 0; i < count; ++i)
    appendStringInfo(sql, "%s%s", i ? ", " : "", quote_identifier(names[i]));
  appendStringInfo(sql, ")::%s", format_type_be_qualified(row));
}

}  // namespace

char* KeyQueryOfCache(const Cache* cache, const char* filter) {
  StringInfoData columns, conditions;
  initStringInfo(&columns);
  initStringInfo(&conditions);
  for (int i = 0; i < cache->keys; ++i) {
    const char* column = quote_identifier(NameStr(cache->key[i].name));
    appendStringInfo(&columns, "%s%s", i ? ", " : "", column);
    // A function that is strict has no such key.
    appendStringInfo(&conditions, "%s%s IS NOT NULL", i ? " AND " : "", column);
  }
  if (filter) appendStringInfo(&conditions, " AND (%s)", filter);
  return psprintf("SELECT DISTINCT %s FROM %s WHERE %s", columns.data, TableOf(cache),
                  conditions.data);
}

char* QueryOfCache(const Cache* cache, char** value_names, int values, const char* order,
                   const char* filter) {
  StringInfoData sql;
  initStringInfo(&sql);
  appendStringInfoString(&sql, "SELECT ");
  if (cache->unique) {
    AppendValue(&sql, cache, value_names, values);
  } else {
    // An unknown key has the empty set, so that = ANY (...) and unnest(...) are as one expects.
    appendStringInfoString(&sql, "COALESCE(pg_catalog.array_agg(");
    AppendValue(&sql, cache, value_names, values);
    if (order) appendStringInfo(&sql, " ORDER BY %s", order);
    appendStringInfo(&sql, "), '{}'::%s)", format_type_be_qualified(cache->result_type));
  }
  appendStringInfo(&sql, " FROM %s WHERE ", TableOf(cache));
  for (int i = 0; i < cache->keys; ++i) {
    appendStringInfo(&sql, "%s%s ", i ? " AND " : "",
                     quote_identifier(NameStr(cache->key[i].name)));
    AppendEquality(&sql, cache->key[i].equality);
    appendStringInfo(&sql, " $%d", i + 1);
  }
  if (filter) appendStringInfo(&sql, " AND (%s)", filter);
  return sql.data;
}

}  // namespace teamscale

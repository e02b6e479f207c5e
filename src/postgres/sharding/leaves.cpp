// The leaves of sharded tables, and changes of their definition that are teamscale's own.

#include "teamscale/postgres/boundary/extension_owner.h"
#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/cluster/catalog_change.h"
#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/sharding/ddl_guard.h"

extern "C" {
#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
}

namespace teamscale {

namespace {

char* LeafName(const char* table, core::TableId table_id, core::BucketId bucket_id) {
  char* suffix = psprintf("_%d_%d", table_id, bucket_id);
  int room = NAMEDATALEN - 1 - static_cast<int>(strlen(suffix));
  int length = pg_mbcliplen(table, static_cast<int>(strlen(table)), room);
  return psprintf("%.*s%s", length, table, suffix);
}

char* QualifiedName(Oid relation) {
  return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)),
                                    get_rel_name(relation));
}

Oid OwnerOf(Oid relation) {
  HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
  if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for relation %u", relation);
  Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relowner;
  ReleaseSysCache(tuple);
  return owner;
}

void RequireOwner(Oid relation) {
  if (!pg_class_ownercheck(relation, GetUserId()))
    aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(relation));
}

void AppendBound(StringInfo sql, const core::Bucket& bucket) {
  if (bucket.modulus != 0) {
    appendStringInfo(sql, "WITH (MODULUS %u, REMAINDER %u)", bucket.modulus, bucket.remainder);
    return;
  }
  appendStringInfoString(sql, "IN (");
  for (std::size_t i = 0; i < bucket.values.size(); ++i)
    appendStringInfo(sql, "%s%s", i ? ", " : "", quote_literal_cstr(bucket.values[i].c_str()));
  appendStringInfoChar(sql, ')');
}

void RunAsExtensionOwner(const char* sql) {
  ExecuteAsExtensionOwner(sql, 0, nullptr, nullptr, nullptr);
}

// The table's statements for each of its leaves, as written by storage_templates().
List* LeafTemplates(Oid parent) {
  Oid types[] = {REGCLASSOID};
  Datum values[] = {ObjectIdGetDatum(parent)};
  ExecuteAsExtensionOwner(
      "SELECT unnest(leaf_templates) FROM teamscale_internal.sharded_table WHERE relation = $1", 1,
      types, values, nullptr);
  List* templates = NIL;
  for (uint64 i = 0; i < SPI_processed; ++i)
    templates = lappend(templates, SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1));
  return templates;
}

void ApplyTemplate(const char* form, const char* leaf) {
  StringInfoData sql;
  initStringInfo(&sql);
  const char* place = strstr(form, "%s");
  if (!place) return;
  appendBinaryStringInfo(&sql, form, static_cast<int>(place - form));
  appendStringInfo(&sql, "%s%s", leaf, place + 2);
  RunAsExtensionOwner(sql.data);
}

void CreateLeaf(Oid parent, const char* name, const core::Bucket& bucket, List* templates) {
  char* leaf = quote_qualified_identifier("teamscale_bucket", name);
  StringInfoData sql;
  initStringInfo(&sql);
  appendStringInfo(&sql, "CREATE TABLE %s PARTITION OF %s FOR VALUES ", leaf,
                   QualifiedName(parent));
  AppendBound(&sql, bucket);
  RunAsExtensionOwner(sql.data);
  RunAsExtensionOwner(psprintf("ALTER TABLE %s OWNER TO %s", leaf,
                               quote_identifier(GetUserNameFromId(OwnerOf(parent), false))));
  ListCell* cell;
  foreach (cell, templates) ApplyTemplate(static_cast<char*>(lfirst(cell)), leaf);
}

int CreateLeaves(Oid parent) {
  RequireOwner(parent);
  const core::ShardMap* map = CurrentShardMap();
  const core::Table* table = map ? map->FindTable(parent) : nullptr;
  if (!table)
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
                    errmsg("\"%s\" is not a sharded table", get_rel_name(parent))));
  core::TableId table_id = table->id;
  core::GroupId group = table->group;
  Oid schema = get_namespace_oid("teamscale_bucket", false);
  int created = 0;
  SPI_connect();
  List* templates = LeafTemplates(parent);
  // The map may be replaced while leaves are made; this one lives until the transaction ends.
  for (const core::Bucket& bucket : map->buckets()) {
    if (bucket.group != group || bucket.node != map->local_node()) continue;
    char* name = LeafName(get_rel_name(parent), table_id, bucket.id);
    if (OidIsValid(get_relname_relid(name, schema))) continue;
    CreateLeaf(parent, name, bucket, templates);
    ++created;
  }
  SPI_finish();
  return created;
}

void DefineHere(const char* sql) {
  SPI_connect();
  int status = SPI_execute(sql, false, 0);
  if (status < 0)
    ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
                    errmsg("could not change a definition: %s", SPI_result_code_string(status)),
                    errdetail("The statement is: %s", sql)));
  SPI_finish();
}

// Runs body with the right to change sharded tables here.
template <typename F>
void WithOwnDdl(F&& body) {
  DdlRight previous = EnterOwnDdl();
  PG_TRY();
  { body(); }
  PG_FINALLY();
  { LeaveOwnDdl(previous); }
  PG_END_TRY();
}

}  // namespace

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_leaf_name) {
  auto* name = static_cast<Name>(palloc0(NAMEDATALEN));
  namestrcpy(name, teamscale::LeafName(text_to_cstring(PG_GETARG_TEXT_PP(0)), PG_GETARG_INT32(1),
                                       PG_GETARG_INT32(2)));
  PG_RETURN_NAME(name);
}

TEAMSCALE_SQL_FUNCTION(teamscale_create_leaves) {
  Oid parent = PG_GETARG_OID(0);
  int created = 0;
  teamscale::WithOwnDdl([&] { created = teamscale::CreateLeaves(parent); });
  PG_RETURN_INT32(created);
}

TEAMSCALE_SQL_FUNCTION(teamscale_define_here) {
  const char* sql = text_to_cstring(PG_GETARG_TEXT_PP(0));
  teamscale::WithOwnDdl([sql] { teamscale::DefineHere(sql); });
  PG_RETURN_VOID();
}

TEAMSCALE_SQL_FUNCTION(teamscale_define_on_nodes) {
  Datum *nodes, *statements;
  int node_count, statement_count;
  deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), INT4OID, sizeof(int32), true, TYPALIGN_INT, &nodes,
                    nullptr, &node_count);
  deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT, &statements,
                    nullptr, &statement_count);
  auto** texts = static_cast<char**>(palloc(sizeof(char*) * (statement_count + 1)));
  for (int i = 0; i < statement_count; ++i) texts[i] = TextDatumGetCString(statements[i]);
  teamscale::WithOwnDdl([=] {
    teamscale::EnterFromPostgres([=] {
      std::vector<teamscale::core::NodeId> ids;
      for (int i = 0; i < node_count; ++i) ids.push_back(DatumGetInt32(nodes[i]));
      for (int i = 0; i < statement_count; ++i) teamscale::ExecuteOnAllOf(ids, texts[i]);
    });
  });
  PG_RETURN_VOID();
}

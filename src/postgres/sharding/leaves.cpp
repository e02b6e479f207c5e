// The leaves of sharded tables: made for the buckets that this node holds, and kept in conformity
// with their parent in what PostgreSQL does not pass on to partitions.

#include <cstring>

#include "teamscale/postgres/boundary/extension_owner.h"
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/partition/table_owner.h"
#include "teamscale/postgres/sharding/cluster_command.h"
#include "teamscale/postgres/sharding/own_statements.h"

extern "C" {
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
}

namespace teamscale {

namespace {

// What a leaf's name ends with: it tells which bucket the leaf holds, whatever the table is called.
char* LeafSuffix(core::TableId table_id, core::BucketId bucket_id) {
  return psprintf("_%d_%d", table_id, bucket_id);
}

char* LeafName(const char* table, core::TableId table_id, core::BucketId bucket_id) {
  char* suffix = LeafSuffix(table_id, bucket_id);
  int room = NAMEDATALEN - 1 - static_cast<int>(strlen(suffix));
  int length = pg_mbcliplen(table, static_cast<int>(strlen(table)), room);
  return psprintf("%.*s%s", length, table, suffix);
}

bool EndsWith(const char* text, const char* suffix) {
  std::size_t length = strlen(text), suffix_length = strlen(suffix);
  return length >= suffix_length && strcmp(text + length - suffix_length, suffix) == 0;
}

bool HasLeaf(List* leaves, const char* suffix) {
  ListCell* cell;
  foreach (cell, leaves)
    if (EndsWith(get_rel_name(lfirst_oid(cell)), suffix)) return true;
  return false;
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

// The texts that a query with one relation as its parameter gives.
List* TextsOf(const char* query, Oid relation) {
  Oid types[] = {REGCLASSOID};
  Datum values[] = {ObjectIdGetDatum(relation)};
  ExecuteAsExtensionOwner(query, 1, types, values, nullptr);
  List* texts = NIL;
  for (uint64 i = 0; i < SPI_processed; ++i)
    texts = lappend(texts, SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1));
  return texts;
}

// The table's actions for each of its leaves, as written by storage_actions().
List* LeafActions(Oid parent) {
  return TextsOf(
      "SELECT unnest(leaf_actions) FROM teamscale_internal.sharded_table WHERE relation = $1",
      parent);
}

void CreateLeaf(Oid parent, const char* name, const core::Bucket& bucket, List* actions) {
  char* leaf = quote_qualified_identifier("teamscale_bucket", name);
  StringInfoData sql;
  initStringInfo(&sql);
  appendStringInfo(&sql, "CREATE TABLE %s PARTITION OF %s FOR VALUES ", leaf,
                   QualifiedName(parent));
  AppendBound(&sql, bucket);
  RunAsExtensionOwner(sql.data);
  RunAsExtensionOwner(psprintf("ALTER TABLE %s OWNER TO %s", leaf,
                               quote_identifier(GetUserNameFromId(TableOwner(parent), false))));
  ListCell* cell;
  foreach (cell, actions)
    RunAsExtensionOwner(psprintf("ALTER TABLE %s %s", leaf, static_cast<char*>(lfirst(cell))));
}

// Leaves of buckets that have one are left as they are.
void CreateLeaves(Oid parent) {
  const core::ShardMap* map = CurrentShardMap();
  const core::Table* table = map ? map->FindTable(parent) : nullptr;
  if (!table)
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
                    errmsg("\"%s\" is not a sharded table", get_rel_name(parent))));
  core::TableId table_id = table->id;
  core::GroupId group = table->group;
  SPI_connect();
  List* present = find_inheritance_children(parent, NoLock);
  List* actions = LeafActions(parent);
  // The map may be replaced while leaves are made; this one lives until the transaction ends.
  for (const core::Bucket& bucket : map->buckets()) {
    if (bucket.group != group || bucket.node != map->local_node()) continue;
    if (HasLeaf(present, LeafSuffix(table_id, bucket.id))) continue;
    CreateLeaf(parent, LeafName(get_rel_name(parent), table_id, bucket.id), bucket, actions);
  }
  SPI_finish();
}

void ConformLeaves(Oid parent) {
  SPI_connect();
  ListCell* cell;
  foreach (cell, TextsOf("SELECT teamscale_internal.leaf_statements($1)", parent))
    RunAsExtensionOwner(static_cast<char*>(lfirst(cell)));
  SPI_finish();
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
  teamscale::WithOwnDdl([=] {
    teamscale::CreateLeaves(parent);
    teamscale::ConformLeaves(parent);
  });
  PG_RETURN_VOID();
}

TEAMSCALE_SQL_FUNCTION(teamscale_conform_leaves) {
  Oid parent = PG_GETARG_OID(0);
  teamscale::WithOwnDdl([=] { teamscale::ConformLeaves(parent); });
  PG_RETURN_VOID();
}

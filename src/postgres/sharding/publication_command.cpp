// A publication of a sharded table on one node sends this node's buckets, which a subscriber would
// take for the table.

#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/sharding/ddl_guard.h"
#include "teamscale/postgres/sharding/named_relations.h"
#include "teamscale/postgres/sharding/utility_call.h"

extern "C" {
#include "catalog/namespace.h"
#include "utils/lsyscache.h"
}

namespace teamscale {

namespace {

[[noreturn]] void Refuse(const core::Table* table) {
  ereport(ERROR,
          (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
           errmsg("a publication of one node cannot contain sharded table \"%s\"",
                  get_rel_name(table->relation)),
           errdetail("It would send this node's rows for the whole table."),
           errhint("Make it on every node, with teamscale.run_on_all_nodes(), and subscribe to "
                   "all of them.")));
}

// The search path's first schema is meant by a null name.
Oid NamedSchema(const PublicationObjSpec* object) {
  if (object->pubobjtype == PUBLICATIONOBJ_TABLES_IN_SCHEMA)
    return get_namespace_oid(object->name, true);
  List* path = fetch_search_path(false);
  return path == NIL ? InvalidOid : linitial_oid(path);
}

void CheckSchema(Oid schema) {
  const core::ShardMap* map = CurrentShardMap();
  for (const core::Table& table : map->tables())
    if (get_rel_namespace(table.relation) == schema) Refuse(&table);
  // Where the leaves are.
  if (schema == get_namespace_oid("teamscale_bucket", true)) Refuse(&map->tables().front());
}

void CheckObject(const PublicationObjSpec* object) {
  if (object->pubobjtype != PUBLICATIONOBJ_TABLE) {
    CheckSchema(NamedSchema(object));
    return;
  }
  Oid relation = FindNamed(object->pubtable->relation);
  const core::Table* table = OidIsValid(relation) ? ShardedTableOf(relation) : nullptr;
  if (table) Refuse(table);
}

}  // namespace

void CheckPublication(const Node* tree) {
  auto* create = reinterpret_cast<const CreatePublicationStmt*>(tree);
  auto* alter = reinterpret_cast<const AlterPublicationStmt*>(tree);
  bool creates = IsA(tree, CreatePublicationStmt);
  if (!creates && alter->action == AP_DropObjects) return;
  if (creates ? create->for_all_tables : alter->for_all_tables)
    Refuse(&CurrentShardMap()->tables().front());
  ListCell* cell;
  foreach (cell, creates ? create->pubobjects : alter->pubobjects)
    CheckObject(static_cast<PublicationObjSpec*>(lfirst(cell)));
}

}  // namespace teamscale

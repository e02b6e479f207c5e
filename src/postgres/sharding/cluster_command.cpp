#include "teamscale/postgres/sharding/cluster_command.h"

#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/cluster/remote.h"

extern "C" {
#include "catalog/namespace.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
}

namespace teamscale {

namespace {

std::vector<core::NodeId> OtherActiveNodes() {
  const core::ShardMap* map = CallPostgres([] { return CurrentShardMap(); });
  std::vector<core::NodeId> nodes;
  for (const core::Node& node : map->nodes())
    if (node.id != map->local_node() && node.state == core::NodeState::kActive)
      nodes.push_back(node.id);
  return nodes;
}

// Says which nodes have done the command before the one that failed.
void NameDone(ErrorData* error, const std::string& done) {
  error->detail = CallPostgres([&] {
    return error->detail ? psprintf("%s\nIt is done on: %s.", error->detail, done.c_str())
                         : psprintf("It is done on: %s.", done.c_str());
  });
}

}  // namespace

char* QualifiedName(Oid relation) {
  return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)),
                                    get_rel_name(relation));
}

List* ShardedTablesNamed(List* range_vars) {
  const core::ShardMap* map = CurrentShardMap();
  List* relations = NIL;
  ListCell* cell;
  foreach (cell, range_vars) {
    Oid relation = RangeVarGetRelid(static_cast<RangeVar*>(lfirst(cell)), NoLock, true);
    if (OidIsValid(relation) && map->FindTable(relation))
      relations = list_append_unique_oid(relations, relation);
  }
  return relations;
}

void RequireOwnersActive(List* relations) {
  const core::ShardMap* map = CurrentShardMap();
  for (const core::Bucket& bucket : map->buckets()) {
    const core::Node* node = map->FindNode(bucket.node);
    if (node->state == core::NodeState::kActive) continue;
    ListCell* cell;
    foreach (cell, relations) {
      if (map->FindTable(lfirst_oid(cell))->group != bucket.group) continue;
      ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                      errmsg("node \"%s\" is disabled and holds buckets of sharded table \"%s\"",
                             node->name.c_str(), get_rel_name(lfirst_oid(cell))),
                      errhint("Call teamscale.enable_node() for it first.")));
    }
  }
}

void ExecuteOnOtherNodes(const char* sql, const char* parameter) {
  EnterFromPostgres([&] {
    RemoteStatement statement{.sql = sql};
    if (parameter) statement.parameters.push_back({.value = parameter});
    ExecuteOnNodes(OtherActiveNodes(), statement);
  });
}

void LockOnNode(core::NodeId node, const char* sql) {
  EnterFromPostgres([&] { ExecuteOnNode(node, {.sql = sql, .effect = Effect::kReads}); });
}

void ExecuteOnEachOtherNode(const char* sql) {
  EnterFromPostgres([&] {
    const core::ShardMap* map = CallPostgres([] { return CurrentShardMap(); });
    std::string done = map->FindNode(map->local_node())->name;
    for (core::NodeId node : OtherActiveNodes()) {
      std::string name = CallPostgres([] { return CurrentShardMap(); })->FindNode(node)->name;
      try {
        ExecuteOutsideTransaction(node, sql);
      } catch (const PostgresError& error) {
        NameDone(error.data(), done);
        throw;
      }
      done += ", " + name;
    }
  });
}

}  // namespace teamscale

#include "teamscale/postgres/sharding/definition_digest.h"

#include <map>
#include <utility>

#include "teamscale/postgres/boundary/extension_owner.h"
#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/cluster/catalog_change.h"
#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/cluster/node_session.h"
#include "teamscale/postgres/cluster/remote.h"

extern "C" {
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "executor/spi.h"
#include "storage/lmgr.h"
}

namespace teamscale {

namespace {

constexpr char kLockThere[] = "SELECT teamscale_internal.lock_definitions()";
constexpr char kDigests[] =
    "SELECT table_name, aspect, digest FROM teamscale_internal.definition_digest()";

// By table and aspect.
using Digests = std::map<std::pair<std::string, std::string>, std::string>;

// The lock that stands for the definitions: on the schema of the leaves, under a number that
// PostgreSQL does not use for schemas.
void LockDefinitionsHere() {
  constexpr uint16 kDefinitions = 1;
  LockDatabaseObject(NamespaceRelationId, get_namespace_oid("teamscale_bucket", false),
                     kDefinitions, ExclusiveLock);
}

class DigestSink : public RowSink {
 public:
  void Row(core::NodeId node, const PGresult* result, int row) override {
    by_node[node][{PQgetvalue(result, row, 0), PQgetvalue(result, row, 1)}] =
        PQgetvalue(result, row, 2);
  }
  std::map<core::NodeId, Digests> by_node;
};

Digests LocalDigests() {
  Digests digests;
  CallPostgres([] {
    SPI_connect();
    // This transaction's own changes must be seen.
    SPI_execute(kDigests, false, 0);
  });
  for (uint64 i = 0; i < SPI_processed; ++i) {
    auto value = [i](int column) {
      return CallPostgres(
          [&] { return SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, column); });
    };
    digests[{value(1), value(2)}] = value(3);
  }
  CallPostgres([] { SPI_finish(); });
  return digests;
}

using Differences = std::vector<std::string>;

void Compare(const Digests& here, const Digests& there, const std::string& node,
             Differences* differences) {
  auto differs = [&](const std::pair<std::string, std::string>& key) {
    differences->push_back(key.first + ": its " + key.second + " on node \"" + node +
                           "\" differ from this node's");
  };
  for (const auto& [key, digest] : here) {
    auto found = there.find(key);
    if (found == there.end() || found->second != digest) differs(key);
  }
  for (const auto& [key, digest] : there)
    if (!here.contains(key)) differs(key);
}

[[noreturn]] void Throw(const Differences& differences) {
  std::string list;
  for (const std::string& difference : differences)
    list.append(list.empty() ? "" : "\n").append(difference);
  throw Error(
      ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
      "sharded tables would not be the same on every node", list,
      "Give every object that the command makes a name. A superuser repairs a node that was "
      "different before under teamscale.scope = local.");
}

// Nodes neither come nor go meanwhile, and no table becomes a sharded one: each change of the
// catalog writes this row on all active nodes.
void HoldCatalogHere() {
  SPI_connect();
  ExecuteAsExtensionOwner("SELECT FROM teamscale_internal.cluster FOR SHARE", 0, nullptr, nullptr,
                          nullptr);
  SPI_finish();
}

}  // namespace

void LockDefinitions() {
  EnterFromPostgres([] {
    CallPostgres([] { HoldCatalogHere(); });
    core::NodeId first = ActiveNodes().front();
    if (first == CallPostgres([] { return CurrentShardMap(); })->local_node())
      CallPostgres([] { LockDefinitionsHere(); });
    else
      ExecuteOnNode(first, {.sql = kLockThere});
  });
}

void CheckSameDefinitions() {
  EnterFromPostgres([] {
    const core::ShardMap* map = CallPostgres([] { return CurrentShardMap(); });
    std::vector<core::NodeId> others = ActiveNodes();
    std::erase(others, map->local_node());
    if (others.empty()) return;
    DigestSink sink;
    ExecuteOnNodes(others, {.sql = kDigests, .effect = Effect::kReads}, &sink);
    Digests here = LocalDigests();
    Differences differences;
    for (core::NodeId node : others)
      Compare(here, sink.by_node[node], map->FindNode(node)->name, &differences);
    if (!differences.empty()) Throw(differences);
  });
}

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_lock_definitions) {
  using namespace teamscale;
  RequireRouterStatement(kLockThere);
  LockDefinitionsHere();
  PG_RETURN_VOID();
}

TEAMSCALE_SQL_FUNCTION(teamscale_check_same_definitions) {
  teamscale::CheckSameDefinitions();
  PG_RETURN_VOID();
}

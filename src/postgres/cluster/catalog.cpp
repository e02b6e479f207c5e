#include "teamscale/postgres/cluster/catalog.h"

#include <array>

extern "C" {
#include "catalog/namespace.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
}

namespace teamscale {

namespace {

constexpr int kTables = static_cast<int>(CatalogTable::kCount);

constexpr std::array<const char*, kTables> kNames = {
    "cluster",   "node",          "local_node",    "colocation_group", "bucket",
    "placement", "sharded_table", "commit_record", "node_secret",
};

// The lookup is repeated after a namespace has come or gone: that is how an extension begins and
// ends, and its relations' own messages cannot be waited for before their OIDs are known.
bool looked_up = false;
std::array<Oid, kTables> relations;

void ForgetRelations(Datum, int, uint32) { looked_up = false; }

void LookUp() {
  relations.fill(InvalidOid);
  Oid schema = get_namespace_oid("teamscale_internal", true);
  if (!OidIsValid(schema)) {
    looked_up = true;
    return;
  }
  // While CREATE EXTENSION runs only some of them exist: then look again the next time.
  bool complete = true;
  for (int i = 0; i < kTables; ++i) {
    relations[i] = get_relname_relid(kNames[i], schema);
    complete = complete && OidIsValid(relations[i]);
  }
  looked_up = complete;
}

}  // namespace

void InitCatalog() { CacheRegisterSyscacheCallback(NAMESPACEOID, ForgetRelations, Datum{0}); }

Oid CatalogRelation(CatalogTable table) {
  if (!looked_up) LookUp();
  return relations[static_cast<int>(table)];
}

bool IsCatalogRelation(Oid relation) {
  for (Oid known : relations)
    if (known == relation) return OidIsValid(relation);
  return false;
}

}  // namespace teamscale

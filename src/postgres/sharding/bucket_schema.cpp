#include "teamscale/postgres/sharding/bucket_schema.h"

#include "teamscale/postgres/boundary/extension_owner.h"
#include "teamscale/postgres/cluster/map.h"

extern "C" {
#include "catalog/namespace.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
}

namespace teamscale {

namespace {

const RangeVar* IndexedTable(const Node* tree) {
  if (IsA(tree, IndexStmt)) return reinterpret_cast<const IndexStmt*>(tree)->relation;
  if (IsA(tree, AlterTableStmt)) return reinterpret_cast<const AlterTableStmt*>(tree)->relation;
  return nullptr;
}

// As the extension's owner, whose schema it is.
void ChangePrivilege(const char* format) {
  const char* role = quote_identifier(GetUserNameFromId(GetUserId(), false));
  SPI_connect();
  ExecuteAsExtensionOwner(psprintf(format, role), 0, nullptr, nullptr, nullptr);
  SPI_finish();
}

}  // namespace

bool OpenBucketSchema(const UtilityCall& call) {
  const RangeVar* name = IndexedTable(call.statement->utilityStmt);
  if (!name || superuser()) return false;
  Oid relation = RangeVarGetRelid(name, NoLock, true);
  if (!OidIsValid(relation) || !CurrentShardMap()->FindTable(relation) ||
      !pg_class_ownercheck(relation, GetUserId()))
    return false;
  Oid schema = get_namespace_oid("teamscale_bucket", false);
  if (pg_namespace_aclcheck(schema, GetUserId(), ACL_CREATE) == ACLCHECK_OK) return false;
  ChangePrivilege("GRANT CREATE ON SCHEMA teamscale_bucket TO %s");
  return true;
}

void CloseBucketSchema() { ChangePrivilege("REVOKE CREATE ON SCHEMA teamscale_bucket FROM %s"); }

}  // namespace teamscale

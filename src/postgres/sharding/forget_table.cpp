#include "teamscale/postgres/sharding/forget_table.h"

#include "teamscale/postgres/boundary/extension_owner.h"
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/cluster/node_session.h"
#include "teamscale/postgres/sharding/cluster_command.h"

extern "C" {
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
}

namespace teamscale {

namespace {

constexpr char kForgetThere[] = "SELECT teamscale_internal.forget_sharded_table($1)";
constexpr const char* kForget[] = {
    "DELETE FROM teamscale_internal.sharded_table WHERE relation = $1",
    "DELETE FROM teamscale_internal.placement AS p USING teamscale_internal.bucket AS b "
    "WHERE b.bucket_id = p.bucket_id AND b.group_id = $2 "
    "AND NOT EXISTS (SELECT FROM teamscale_internal.sharded_table AS t WHERE t.group_id = $2)",
    "DELETE FROM teamscale_internal.bucket AS b WHERE b.group_id = $2 "
    "AND NOT EXISTS (SELECT FROM teamscale_internal.sharded_table AS t WHERE t.group_id = $2)",
    "DELETE FROM teamscale_internal.colocation_group AS g WHERE g.group_id = $2 "
    "AND NOT EXISTS (SELECT FROM teamscale_internal.sharded_table AS t WHERE t.group_id = $2)",
};

}  // namespace

bool MayDropTable(Oid relation) {
  return pg_class_ownercheck(relation, GetUserId()) ||
         pg_namespace_ownercheck(get_rel_namespace(relation), GetUserId());
}

void ForgetTable(Oid relation) {
  const core::Table* table = CurrentShardMap()->FindTable(relation);
  if (!table) return;
  Oid types[] = {REGCLASSOID, INT4OID};
  Datum values[] = {ObjectIdGetDatum(relation), Int32GetDatum(table->group)};
  SPI_connect();
  for (const char* sql : kForget) ExecuteAsExtensionOwner(sql, 2, types, values, nullptr);
  SPI_finish();
}

void ForgetTableOnOtherNodes(Oid relation) {
  ExecuteOnOtherNodes(kForgetThere, QualifiedName(relation));
}

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_forget_sharded_table) {
  using namespace teamscale;
  Oid relation = PG_GETARG_OID(0);
  RequireRouterStatement(kForgetThere);
  if (!MayDropTable(relation))
    aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(relation));
  ForgetTable(relation);
  PG_RETURN_VOID();
}

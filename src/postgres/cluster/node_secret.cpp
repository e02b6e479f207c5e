#include "teamscale/postgres/cluster/node_secret.h"

#include <cstring>

#include "teamscale/postgres/boundary/extension_owner.h"
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/cluster/catalog.h"
#include "teamscale/postgres/cluster/cluster_row.h"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "common/hmac.h"
#include "common/sha2.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/rel.h"
}

namespace teamscale {

namespace {

ExecutorCheckPerms_hook_type previous_check_permissions = nullptr;

// Writing is ours and superusers'. No SQL reads the secret back: not even a superuser's, a dump's
// or pg_read_all_data's.
constexpr AclMode kAllowed = ACL_INSERT | ACL_DELETE;

bool RefuseToReadSecret(List* range_table, bool raise) {
  Oid secret = InvalidOid;
  ListCell* cell;
  foreach (cell, range_table) {
    auto* entry = lfirst_node(RangeTblEntry, cell);
    if (entry->rtekind != RTE_RELATION || (entry->requiredPerms & ~kAllowed) == 0) continue;
    if (!OidIsValid(secret)) secret = CatalogRelation(CatalogTable::kNodeSecret);
    if (!OidIsValid(secret)) break;
    if (entry->relid != secret) continue;
    if (!raise) return false;
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                    errmsg("permission denied for the cluster's secret"),
                    errdetail("It proves that a connection is a node's, and no SQL reads it.")));
  }
  return previous_check_permissions ? previous_check_permissions(range_table, raise) : true;
}

}  // namespace

bytea* ReadNodeSecret() {
  Relation relation = table_open(CatalogRelation(CatalogTable::kNodeSecret), AccessShareLock);
  SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, nullptr, 0, nullptr);
  bytea* secret = nullptr;
  if (HeapTuple tuple = systable_getnext(scan)) {
    bool is_null;
    secret = DatumGetByteaPCopy(heap_getattr(tuple, 2, RelationGetDescr(relation), &is_null));
  }
  systable_endscan(scan);
  table_close(relation, AccessShareLock);
  return secret;
}

namespace {

void StoreSecret(Datum secret) {
  Oid types[] = {BYTEAOID};
  Datum values[] = {secret};
  SPI_connect();
  ExecuteAsExtensionOwner("DELETE FROM teamscale_internal.node_secret", 0, nullptr, nullptr,
                          nullptr);
  ExecuteAsExtensionOwner("INSERT INTO teamscale_internal.node_secret (secret) VALUES ($1)", 1,
                          types, values, nullptr);
  SPI_finish();
}

void RequireSuperuser() {
  if (!superuser())
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                    errmsg("only superusers may store the cluster's secret")));
}

}  // namespace

void InitNodeSecret() {
  previous_check_permissions = ExecutorCheckPerms_hook;
  ExecutorCheckPerms_hook = RefuseToReadSecret;
}

bool AuthenticateWithSecret(const char* message, std::size_t length, unsigned char* code) {
  static_assert(kAuthenticationCodeLength == PG_SHA256_DIGEST_LENGTH);
  bytea* secret = ReadNodeSecret();
  if (!secret) return false;
  pg_hmac_ctx* context = pg_hmac_create(PG_SHA256);
  bool failed = !context ||
                pg_hmac_init(context, reinterpret_cast<uint8*>(VARDATA_ANY(secret)),
                             VARSIZE_ANY_EXHDR(secret)) < 0 ||
                pg_hmac_update(context, reinterpret_cast<const uint8*>(message), length) < 0 ||
                pg_hmac_final(context, code, kAuthenticationCodeLength) < 0;
  if (context) pg_hmac_free(context);
  explicit_bzero(VARDATA_ANY(secret), VARSIZE_ANY_EXHDR(secret));
  if (failed)
    ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not compute an HMAC")));
  return true;
}

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_create_secret) {
  teamscale::RequireSuperuser();
  constexpr int kLength = 32;
  auto* secret = static_cast<bytea*>(palloc(VARHDRSZ + kLength));
  SET_VARSIZE(secret, VARHDRSZ + kLength);
  if (!pg_strong_random(VARDATA(secret), kLength))
    ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not draw a secret")));
  teamscale::StoreSecret(PointerGetDatum(secret));
  PG_RETURN_VOID();
}

TEAMSCALE_SQL_FUNCTION(teamscale_receive_secret) {
  teamscale::RequireSuperuser();
  const char* own = teamscale::ReadClusterRow().id;
  const char* cluster = text_to_cstring(PG_GETARG_TEXT_PP(1));
  // Two clusters may add one database at once: the secret stays that of the one whose node it is.
  if (*own && strcmp(own, cluster) != 0)
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("this database is a node of another cluster"),
                    errdetail("It is of cluster %s, the secret of cluster %s.", own, cluster),
                    errhint("Take it out of its cluster with teamscale.remove_node().")));
  teamscale::StoreSecret(PG_GETARG_DATUM(0));
  PG_RETURN_VOID();
}

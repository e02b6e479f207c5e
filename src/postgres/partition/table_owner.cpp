#include "teamscale/postgres/partition/table_owner.h"

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
}

namespace teamscale {

void RequireTableOwner(Oid table) {
  const char* name = get_rel_name(table);
  if (!name)
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("table %u does not exist", table)));
  if (!pg_class_ownercheck(table, GetUserId()))
    aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, name);
}

Oid TableOwner(Oid table) {
  HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
  if (!HeapTupleIsValid(tuple))
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("table %u does not exist", table)));
  Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relowner;
  ReleaseSysCache(tuple);
  return owner;
}

}  // namespace teamscale

#include "teamscale/postgres/sharding/insert_privilege.h"

extern "C" {
#include "miscadmin.h"
#include "utils/acl.h"
}

namespace teamscale {

bool MayInsertColumn(Oid table, AttrNumber column) {
  return pg_class_aclcheck(table, GetUserId(), ACL_INSERT) == ACLCHECK_OK ||
         pg_attribute_aclcheck(table, column, GetUserId(), ACL_INSERT) == ACLCHECK_OK;
}

}  // namespace teamscale

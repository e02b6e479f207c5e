#include "teamscale/postgres/boundary/acting_role.h"

#include "teamscale/postgres/boundary/extension_owner.h"
#include "teamscale/postgres/boundary/sql_function.h"

extern "C" {
#include "miscadmin.h"
#include "utils/builtins.h"
}

namespace teamscale {

namespace {

Oid acting_role = InvalidOid;

RoleChange Become(Oid user, Oid acting) {
  RoleChange change{InvalidOid, 0, acting_role};
  GetUserIdAndSecContext(&change.user, &change.context);
  SetUserIdAndSecContext(user, change.context | SECURITY_LOCAL_USERID_CHANGE);
  acting_role = acting;
  return change;
}

}  // namespace

Oid ActingRole() { return OidIsValid(acting_role) ? acting_role : GetUserId(); }

RoleChange BecomeExtensionOwner() { return Become(ExtensionOwner(), GetUserId()); }

// What runs as the role is not on anybody's behalf.
RoleChange BecomeRole(Oid role) { return Become(role, InvalidOid); }

void RestoreRole(const RoleChange& change) {
  SetUserIdAndSecContext(change.user, change.context);
  acting_role = change.acting;
}

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_acting_role) {
  PG_RETURN_DATUM(DirectFunctionCall1(
      namein, CStringGetDatum(GetUserNameFromId(teamscale::ActingRole(), false))));
}

// On whose behalf teamscale's own SQL runs.
//
// Tables are sharded by their owners, who may not read or write the catalog. So the bodies of
// distribute_table() and its like, SQL and PL/pgSQL of ours, run as the extension's owner *on
// behalf of* the caller, the acting role. Whatever touches the caller's objects, evaluates
// expressions that somebody else wrote, or reaches another node runs as the acting role again.
// Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"

namespace teamscale {

// The role on whose behalf SQL of ours runs now; the current user when there is none.
Oid ActingRole();

// What the Become functions changed. An error that ends the (sub)transaction restores the user
// itself; the acting role is restored in PG_FINALLY.
struct RoleChange {
  Oid user;
  int context;
  Oid acting;
};

// The extension's owner, on behalf of whoever is the current user.
RoleChange BecomeExtensionOwner();
// The acting role, or another role for it.
RoleChange BecomeRole(Oid role);
void RestoreRole(const RoleChange& change);

template <typename F>
void AsExtensionOwner(F&& body) {
  RoleChange change = BecomeExtensionOwner();
  PG_TRY();
  { body(); }
  PG_FINALLY();
  { RestoreRole(change); }
  PG_END_TRY();
}

template <typename F>
void AsRole(Oid role, F&& body) {
  RoleChange change = BecomeRole(role);
  PG_TRY();
  { body(); }
  PG_FINALLY();
  { RestoreRole(change); }
  PG_END_TRY();
}

}  // namespace teamscale

// Statements of teamscale's own that make and change sharded tables, here and on other nodes. Plain
// dialect.
//
// What is *defined* (DDL on a user's objects, and whatever evaluates a user's expressions) is run
// as the acting role (boundary/acting_role.h). What is *asked or acted* (our catalog, our internal
// functions) is run as the extension's owner on its behalf.
#pragma once

#include "teamscale/postgres/boundary/server.h"
#include "teamscale/postgres/sharding/ddl_guard.h"

namespace teamscale {

// Runs body with the right to change sharded tables here.
template <typename F>
void WithOwnDdl(F&& body) {
  DdlRight previous = EnterOwnDdl();
  PG_TRY();
  { body(); }
  PG_FINALLY();
  { LeaveOwnDdl(previous); }
  PG_END_TRY();
}

}  // namespace teamscale

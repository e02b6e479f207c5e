// What the worker of an owner session is told by its registration (bgw_extra).
#pragma once

#include "teamscale/postgres/worker/owner_session.h"

extern "C" {
#include "storage/dsm.h"
}

namespace teamscale {

struct OwnerSessionStart {
  Oid database;
  Oid owner;
  bool restricted;   // the owner has no session of its own
  int job;           // index in the order of registration
  dsm_handle queue;  // DSM_HANDLE_INVALID: nobody waits
  char argument[kOwnerJobArgumentSize];
};
static_assert(sizeof(OwnerSessionStart) <= BGW_EXTRALEN);

// Reads the catalog. Plain dialect.
OwnerSessionStart DescribeOwnerSession(Oid owner, const char* name, const char* argument);

}  // namespace teamscale

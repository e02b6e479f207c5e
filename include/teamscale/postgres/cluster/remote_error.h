// Errors and notices of another server, raised here as if they were this one's.
#pragma once

#include <string>

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "libpq-fe.h"
}

namespace teamscale {

// Throws a PostgresError with every field of result's error; its CONTEXT ends with what (the other
// side: node "b"). Guarded dialect.
[[noreturn]] void ThrowRemoteError(const PGresult* result, const std::string& what);

// A notice receiver for libpq. An ereport could leave libpq by a longjmp, so a notice is kept until
// EmitForwardedNotices is called.
void ForwardNotice(void* argument, const PGresult* result);
void EmitForwardedNotices();

}  // namespace teamscale

// Errors and notices of another server, raised here as if they were this one's.
#pragma once

#include <string>

#include "teamscale/core/sharding/shard_map.h"
#include "teamscale/postgres/boundary/guard.h"

extern "C" {
#include "libpq-fe.h"
}

namespace teamscale {

// Throws a RemoteError with every field of result's error; its CONTEXT ends with what (the other
// side: node "b"). Guarded dialect.
[[noreturn]] void ThrowRemoteError(const PGresult* result, const std::string& what,
                                   core::NodeId node);
// Throws a RemoteError that we found ourselves, such as the loss of a connection.
[[noreturn]] void ThrowRemoteError(const Error& error, core::NodeId node);

// An error's message and detail, for a place that has room for one text.
std::string ReasonOf(const PostgresError& error);

// A notice receiver for libpq. An ereport could leave libpq by a longjmp, so a notice is kept until
// EmitForwardedNotices is called.
void ForwardNotice(void* argument, const PGresult* result);
void EmitForwardedNotices();

}  // namespace teamscale

// Sessions that are a table's owner.
//
// What teamscale does to a user's table without that user's own session (maintenance), or that must
// be a command of its own outside any transaction (DETACH ... CONCURRENTLY), runs in a background
// worker whose session user *is* the owner. A superuser's session that switches to the owner would
// not do: triggers, index expressions and hooks that the owner wrote could switch back.
//
// PostgreSQL opens no session for a role that may not log in, or not more often. For an owner who
// may not log in, or whose connections are limited, the worker's session is the bootstrap
// superuser's, and every transaction of the job runs as the owner within a security-restricted
// operation, as REINDEX and ANALYZE run index expressions: SET ROLE, SET SESSION AUTHORIZATION and
// their RESETs are refused there, and so is queueing a deferred trigger.
//
// Terms: a *job* is a function that a module registered under a name; its *argument* is a short
// text.
#pragma once

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "postmaster/bgworker.h"
}

namespace teamscale {

// The job's function is called outside a transaction, in the plain dialect; it runs its
// transactions by OwnerTransaction. An error that it lets pass ends the session.
using OwnerJob = void (*)(const char* argument);
// By the modules' inits, in the same order in every process.
void RegisterOwnerJob(const char* name, OwnerJob job);

// Room for an argument, its end included.
constexpr int kOwnerJobArgumentSize = 64;

// Runs a job as the owner and waits for its end: passes its notices on, raises its error, ends it
// when this backend is cancelled or exits. The session is gone when it returns or raises. The
// caller holds no snapshot and no lock that the job may want (a procedure has committed). Plain
// dialect. 53000 when no background worker is free.
void RunOwnerJob(Oid owner, const char* name, const char* argument);

// Starts a job whose notices and errors go to the server's log; null when no background worker is
// free. The handle is allocated in the current memory context.
BackgroundWorkerHandle* StartOwnerJob(Oid owner, const char* name, const char* argument);

// Whose session this is; InvalidOid in every other process.
Oid OwnerOfSession();

// A transaction of the running job, as the owner. Plain dialect; an error leaves it open for
// whoever handles the error, who then calls AbortOwnerTransaction.
void BeginOwnerTransaction();
void CommitOwnerTransaction();
void AbortOwnerTransaction();

// One statement within a transaction of the job; raises when it fails.
void ExecuteInOwnerTransaction(const char* sql);
// A command that refuses a transaction block (DETACH ... CONCURRENTLY), by itself, outside any.
void ExecuteOwnerCommand(const char* sql, const char* lock_timeout);

}  // namespace teamscale

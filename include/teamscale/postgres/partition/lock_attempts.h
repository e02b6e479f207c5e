// Short transactions of an owner session that need a strong lock.
//
// Whoever waits for a strong lock makes everybody wait who comes later. So such a transaction waits
// teamscale.partition_lock_timeout at most, gives up, and tries again after a pause that grows. In
// a deadlock it is the one that gives up, and autovacuum makes way for it, as it looks for
// deadlocks before anybody else does.
#pragma once

#include "teamscale/postgres/boundary/server.h"

namespace teamscale {

// Defines teamscale.partition_lock_timeout and teamscale.partition_lock_attempts. Called once by
// _PG_init.
void InitLockAttempts();

enum class LockPatience {
  kLimited,  // as often as the setting says
  kEndless,  // until it is cancelled
};

// What is run in a transaction of its own (see owner_session.h) with the lock timeout.
struct LockAttempt {
  void (*body)(void* argument);
  // After an attempt that failed, outside a transaction; may be null.
  void (*after_conflict)(void* argument);
  void* argument;
};

// Makes an attempt, again and again while the lock timeout, a deadlock or a row that moved is what
// ended it; raises the last error. Every other error is raised at once. Plain dialect.
void RepeatLockAttempt(const LockAttempt& attempt, LockPatience patience);

template <typename F>
void RunWithLockAttempts(F&& body, LockPatience patience = LockPatience::kLimited) {
  RepeatLockAttempt(
      LockAttempt{.body = [](void* f) { (*static_cast<std::remove_reference_t<F>*>(f))(); },
                  .after_conflict = nullptr,
                  .argument = const_cast<void*>(static_cast<const void*>(&body))},
      patience);
}

// How long limited patience waits for what is no lock, and stands in nobody's way.
int LimitedWaitMilliseconds();

// For a body that holds a lock which others wait for: further locks are had at once or not at all.
void ShortenLockTimeout();

}  // namespace teamscale

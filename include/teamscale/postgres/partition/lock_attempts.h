// Short transactions of an owner session that need a strong lock.
//
// Whoever waits for a strong lock makes everybody wait who comes later. So such a transaction waits
// teamscale.partition_lock_timeout at most, gives up, and tries again after a pause that grows.
#pragma once

#include "teamscale/postgres/boundary/server.h"

namespace teamscale {

// Defines teamscale.partition_lock_timeout and teamscale.partition_lock_attempts. Called once by
// _PG_init.
void InitLockAttempts();

// Runs body(argument) in a transaction of its own (see owner_session.h) with the lock timeout,
// again and again while that or a deadlock is what ended it, as often as the setting says; raises
// the last error. Every other error is raised at once. Plain dialect.
void RunWithLockAttempts(void (*body)(void*), void* argument);

template <typename F>
void RunWithLockAttempts(F&& body) {
  RunWithLockAttempts(
      [](void* argument) { (*static_cast<std::remove_reference_t<F>*>(argument))(); },
      const_cast<void*>(static_cast<const void*>(&body)));
}

}  // namespace teamscale

// A transaction of a background worker's own around a call that needs one.
#pragma once

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "access/xact.h"
}

namespace teamscale {

// Plain dialect: an error leaves the transaction open for whoever handles the error.
template <typename F>
void InTransaction(F&& body) {
  SetCurrentStatementStartTimestamp();
  StartTransactionCommand();
  body();
  CommitTransactionCommand();
}

// In the transaction that is open, or in one of its own.
template <typename F>
void WithTransaction(F&& body) {
  if (IsTransactionState())
    body();
  else
    InTransaction(body);
}

}  // namespace teamscale

// During a rewrite the definitions of its tables stay as they are: whoever would change them is
// refused. The object access hook sees every such change, whatever command it came from; the
// utility hook sees a partition's detaching, of which there is no access.
#pragma once

#include "teamscale/postgres/boundary/server.h"

namespace teamscale {

// Sets the hooks. Called once by _PG_init.
void InitRewriteGuard();

// What body changes is the rewrite's own. Plain dialect.
bool EnterRewriteDdl();
void LeaveRewriteDdl(bool previous);

template <typename F>
void AsRewrite(F&& body) {
  bool previous = EnterRewriteDdl();
  PG_TRY();
  { body(); }
  PG_FINALLY();
  { LeaveRewriteDdl(previous); }
  PG_END_TRY();
}

}  // namespace teamscale

// Undoing a rewrite, at whatever phase it is.
#include "teamscale/postgres/boundary/wait_point.h"
#include "teamscale/postgres/partition/mirror.h"
#include "teamscale/postgres/partition/rewrite_guard.h"
#include "teamscale/postgres/partition/rewrite_steps.h"
#include "teamscale/postgres/worker/owner_session.h"

extern "C" {
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "utils/lsyscache.h"
}

namespace teamscale {

namespace {

// The staging table takes its partitions along. A default partition keeps no fence.
List* UndoStatements(const Rewrite* rewrite) {
  Oid types[] = {REGCLASSOID, OIDOID};
  Datum values[] = {ObjectIdGetDatum(rewrite->table), ObjectIdGetDatum(rewrite->destination)};
  return ReadStatements("SELECT * FROM teamscale_internal.undo_statements($1, $2)", 2, types,
                        values, nullptr);
}

}  // namespace

void UndoRewrite(const Rewrite* rewrite, LockPatience patience) {
  // Writers that go on to mirror find the destination as long as any mirror is there.
  ListCell* cell;
  foreach (cell, rewrite->sources) {
    Oid source = lfirst_oid(cell);
    RunWithLockAttempts([=] { AsRewrite([=] { RemoveMirror(source); }); }, patience);
    TEAMSCALE_WAIT_POINT("rewrite lost a mirror");
  }
  RunWithLockAttempts(
      [=] {
        AsRewrite([=] { RunStatements(UndoStatements(rewrite)); });
        ForgetRewrite(rewrite->id);
      },
      patience);
}

}  // namespace teamscale

#include "teamscale/postgres/cluster/catch_up.h"

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/worker/own_transaction.h"

extern "C" {
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"
}

namespace teamscale {

namespace {

constexpr int kPatienceMilliseconds = 2000;
constexpr int kStepMilliseconds = 20;

constexpr char kPrepared[] =
    "SELECT FROM pg_catalog.pg_prepared_xacts "
    "WHERE database OPERATOR(pg_catalog.=) pg_catalog.current_database() "
    "AND pg_catalog.starts_with(gid, $1)";

}  // namespace

bool CatchesUpWith(std::int64_t epoch) {
  for (int waited = 0;; waited += kStepMilliseconds) {
    std::optional<Self> self = ReadSelf();
    if (self && self->report.epoch >= epoch) return true;
    if (waited >= kPatienceMilliseconds) return false;
    CallPostgres([] {
      (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, kStepMilliseconds,
                      PG_WAIT_EXTENSION);
      ResetLatch(MyLatch);
      CHECK_FOR_INTERRUPTS();
    });
  }
}

bool WaitsForDecision(const Self& self) {
  std::string prefix = "teamscale:" + self.report.cluster + ":";
  const char* text = prefix.c_str();
  bool found = false;
  CallPostgres([&found, text] {
    WithTransaction([&found, text] {
      Oid types[] = {TEXTOID};
      Datum values[] = {CStringGetTextDatum(text)};
      SPI_connect();
      PushActiveSnapshot(GetTransactionSnapshot());
      SPI_execute_with_args(kPrepared, 1, types, values, nullptr, true, 1);
      found = SPI_processed > 0;
      PopActiveSnapshot();
      SPI_finish();
    });
  });
  return found;
}

}  // namespace teamscale

#include "teamscale/postgres/cluster/settling_task.h"

#include <map>

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/cluster/settling.h"
#include "teamscale/postgres/worker/maintenance.h"

extern "C" {
#include "utils/guc.h"
}

namespace teamscale {

namespace {

int settle_interval = 5000;
MaintenanceTaskId settling;

// Says what was done, and of each node when it stops or begins to answer.
void LogSteps(const std::vector<SettlingStep>& steps) {
  static auto* silent = new std::map<std::string, std::string>;
  std::map<std::string, std::string> silent_now;
  for (const SettlingStep& step : steps) {
    const char* node = step.node.c_str();
    const char* gid = step.gid.c_str();
    const char* action = step.action.c_str();
    if (step.gid.empty()) {
      silent_now[step.node] = step.action;
      if ((*silent)[step.node] == step.action) continue;
      CallPostgres([=] { ereport(LOG, (errmsg("settling: node \"%s\" was %s", node, action))); });
    } else if (!step.action.starts_with("left")) {
      CallPostgres([=] {
        ereport(LOG, (errmsg("settled transaction %s on node \"%s\": %s", gid, node, action)));
      });
    }
  }
  *silent = std::move(silent_now);
}

void RunSettling() {
  // A node that says nothing more must not keep the others waiting.
  SetConfigOption("teamscale.statement_deadline", "30s", PGC_USERSET, PGC_S_OVERRIDE);
  EnterFromPostgres([] {
    if (std::optional<std::vector<SettlingStep>> steps = SettleOnce()) LogSteps(*steps);
  });
}

}  // namespace

void InitSettlingTask() {
  DefineCustomIntVariable(
      "teamscale.settle_interval",
      "How long the maintenance worker waits between two rounds of settling in-doubt transactions.",
      nullptr, &settle_interval, 5000, 100, 3600000, PGC_SIGHUP, GUC_UNIT_MS, nullptr, nullptr,
      nullptr);
  settling = RegisterMaintenanceTask({.activity = "settling in-doubt transactions",
                                      .interval_ms = &settle_interval,
                                      .run = RunSettling});
}

void RequestSettling() { RequestMaintenance(settling); }

}  // namespace teamscale

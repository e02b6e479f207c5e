#include "teamscale/postgres/partition/table_plan.h"

#include "teamscale/core/partition/quote.h"
#include "teamscale/postgres/boundary/extension_owner.h"
#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/partition/calendar.h"
#include "teamscale/postgres/partition/maintenance_clock.h"
#include "teamscale/postgres/partition/table_owner.h"
#include "teamscale/postgres/partition/table_state.h"
#include "teamscale/postgres/worker/owner_session.h"

extern "C" {
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/guc.h"
}

namespace teamscale {

namespace {

// Whether the owner's function lets a partition go. It runs as the current user, who owns the
// table.
bool MayGo(const std::string& function, Oid partition) {
  std::string name = function.substr(0, function.size() - std::string_view("(regclass)").size());
  std::string sql =
      "SELECT " + name + "(" + std::to_string(partition) + "::pg_catalog.oid::pg_catalog.regclass)";
  const char* text = sql.c_str();
  return CallPostgres([text] {
    // The function is the owner's, who expects the path that the owner's sessions begin with.
    int settings = NewGUCNestLevel();
    set_config_option("search_path", GetConfigOptionResetString("search_path"), PGC_USERSET,
                      PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
    SPI_connect();
    int status = SPI_execute(text, false, 1);
    bool is_null = true;
    bool may =
        status == SPI_OK_SELECT && SPI_processed == 1 &&
        DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
    SPI_finish();
    AtEOXact_GUC(true, settings);
    return may && !is_null;
  });
}

// What would follow the detaching goes too.
void Block(core::PartitionId partition, const std::string& reason, core::Plan* plan) {
  std::erase_if(plan->actions, [partition](const core::Action& action) {
    return action.object.id == partition && (action.kind == core::ActionKind::kDrop ||
                                             action.kind == core::ActionKind::kMoveToSchema);
  });
  for (core::Action& action : plan->actions) {
    if (action.object.id != partition || action.kind != core::ActionKind::kDetach) continue;
    action.kind = core::ActionKind::kBlocked;
    action.lock.clear();
    action.reason += reason;
  }
}

// Only in a session of the owner's: a function of somebody else's must not run as the caller, nor
// in a session that it could lead back to another role.
bool IsOwnersSession(Oid table) {
  return CallPostgres([table] {
    Oid owner = TableOwner(table);
    return GetUserId() == owner && (OwnerOfSession() == owner || GetSessionUserId() == owner);
  });
}

void AskBeforeDrop(TablePlan* plan) {
  if (plan->before_drop.empty()) return;
  if (!IsOwnersSession(plan->table)) {
    for (core::Action& action : plan->plan.actions)
      if (action.kind == core::ActionKind::kDetach)
        action.reason += " Its owner's function " + plan->before_drop + " will be asked.";
    return;
  }
  std::vector<core::PartitionId> going;
  for (const core::Action& action : plan->plan.actions)
    if (action.kind == core::ActionKind::kDetach) going.push_back(action.object.id);
  for (core::PartitionId partition : going)
    if (!MayGo(plan->before_drop, partition))
      Block(partition, " It stays: " + plan->before_drop + " refused.", &plan->plan);
}

}  // namespace

std::vector<TablePlan> PlanTables(const std::vector<Oid>& tables) {
  core::Point now = PointOfInstant(CallPostgres([] { return MaintenanceClock(); }));
  std::vector<StoredPolicy> policies = ReadPolicies(tables);
  std::vector<core::PartitionState> states = ReadStates(policies);
  std::vector<TablePlan> plans;
  for (std::size_t i = 0; i < policies.size(); ++i) {
    TablePlan plan{.table = policies[i].table,
                   .name = states[i].table.name,
                   .policy = policies[i].policy,
                   .before_drop = policies[i].before_drop,
                   .plan = core::PlanMaintenance(*policies[i].policy, states[i], now)};
    AskBeforeDrop(&plan);
    plans.push_back(std::move(plan));
  }
  return plans;
}

std::vector<Oid> OwnTablesWithPolicy() {
  const List* rows = CallPostgres([] {
    return ReadTextRows(
        "SELECT p.relation::oid, c.relowner FROM teamscale_internal.partition_policy AS p"
        "      JOIN pg_catalog.pg_class AS c ON c.oid = p.relation"
        " WHERE p.level = 1 ORDER BY 1");
  });
  std::vector<Oid> tables;
  for (int i = 0; i < list_length(rows); ++i) {
    auto row = static_cast<const char* const*>(list_nth(rows, i));
    Oid owner = static_cast<Oid>(std::stoul(row[1]));
    if (CallPostgres([owner] { return has_privs_of_role(GetUserId(), owner); }))
      tables.push_back(static_cast<Oid>(std::stoul(row[0])));
  }
  return tables;
}

}  // namespace teamscale

#include "teamscale/postgres/partition/rewrite_action.h"

#include <string>

#include "teamscale/core/partition/quote.h"
#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/partition/bounds.h"
#include "teamscale/postgres/partition/lock_attempts.h"
#include "teamscale/postgres/partition/new_bounds.h"
#include "teamscale/postgres/partition/rewrite.h"
#include "teamscale/postgres/partition/rewrite_steps.h"

extern "C" {
#include "utils/builtins.h"
}

namespace teamscale {

namespace {

std::string TableText(core::PartitionId id) {
  return "'" + std::to_string(id) + "'::pg_catalog.oid::pg_catalog.regclass";
}

// One element for each new partition; NULL where it is empty.
template <typename F>
std::string ArrayText(const core::Action& action, const char* type, F&& element) {
  std::string text;
  for (const core::NewPartition& partition : action.created) {
    std::string value = element(partition);
    text += (text.empty() ? "" : ", ") + (value.empty() ? "NULL" : core::QuoteLiteral(value));
  }
  return "ARRAY[" + text + "]::pg_catalog." + type + "[]";
}

std::string CreatedText(const core::Action& action) {
  return ArrayText(action, "name", [](const auto& each) { return each.name.schema; }) + ", " +
         ArrayText(action, "name", [](const auto& each) { return each.name.name; }) + ", " +
         ArrayText(action, "text", [](const auto& each) { return core::BoundClause(each.bound); }) +
         ", " + ArrayText(action, "name", [](const auto& each) { return each.tablespace; });
}

// What begins it, with the bound of a partition that keeps its own.
std::string BeginningOf(const core::Action& action, const std::string& bound) {
  switch (action.kind) {
    case core::ActionKind::kDrain:
      return "begin_drain(" + TableText(action.parent.id) + ", " + CreatedText(action) + ")";
    case core::ActionKind::kSplit:
      return "begin_division(" + TableText(action.object.id) + ", " + CreatedText(action) + ")";
    default:
      return "begin_move(" + TableText(action.object.id) + ", " + core::QuoteLiteral(bound) + ", " +
             core::QuoteLiteral(action.tablespace) + ")";
  }
}

std::string OwnBound(const core::Action& action) {
  if (action.kind != core::ActionKind::kMoveByRewrite) return "";
  Oid partition = action.object.id;
  return CallPostgres([partition] { return BoundText(ReadPartitionBound(partition)); });
}

std::int64_t Begin(const core::Action& action) {
  std::int64_t id = 0;
  CallPostgres([&] {
    RunWithLockAttempts([&] {
      EnterFromPostgres([&] {
        std::string query =
            "SELECT teamscale_internal." + BeginningOf(action, OwnBound(action)) + "::text";
        const char* text = query.c_str();
        id = CallPostgres([text] {
          auto* result = static_cast<const char*>(
              linitial(ReadStatements(text, 0, nullptr, nullptr, nullptr)));
          return pg_strtoint64(result);
        });
      });
    });
  });
  return id;
}

void RequireLeaves(const core::Action& action) {
  for (const core::NewPartition& partition : action.created)
    if (partition.below)
      throw Error(ERRCODE_FEATURE_NOT_SUPPORTED,
                  "rows are not moved to partitions that have partitions of their own",
                  action.reason, "Move them by hand; the partition is made when they have gone.");
}

}  // namespace

bool IsRewrite(core::ActionKind kind) {
  switch (kind) {
    case core::ActionKind::kDrain:
    case core::ActionKind::kSplit:
    case core::ActionKind::kMoveByRewrite:
    case core::ActionKind::kResumeRewrite:
      return true;
    default:
      return false;
  }
}

void PerformRewrite(const core::Action& action) {
  RequireLeaves(action);
  std::int64_t id =
      action.kind == core::ActionKind::kResumeRewrite ? action.rewrite : Begin(action);
  CallPostgres([id] { ResumeRewrite(id); });
}

}  // namespace teamscale

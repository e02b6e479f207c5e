#include "teamscale/core/partition/plan.h"

#include "teamscale/core/partition/planning.h"

namespace teamscale::core {

const char* ActionName(ActionKind kind) {
  switch (kind) {
    case ActionKind::kGuard:
      return "guard";
    case ActionKind::kNotice:
      return "notice";
    case ActionKind::kBlocked:
      return "blocked";
    case ActionKind::kFinishDetach:
      return "finish detach";
    case ActionKind::kResumeRewrite:
      return "resume rewrite";
    case ActionKind::kCreate:
      return "create";
    case ActionKind::kReplace:
      return "replace";
    case ActionKind::kDrain:
      return "drain";
    case ActionKind::kSplit:
      return "split";
    case ActionKind::kMoveInPlace:
      return "move in place";
    case ActionKind::kMoveByRewrite:
      return "move by rewrite";
    case ActionKind::kDetach:
      return "detach";
    case ActionKind::kDrop:
      return "drop";
    case ActionKind::kMoveToSchema:
      break;
  }
  return "move to schema";
}

Plan PlanMaintenance(const PartitionPolicy& policy, const PartitionState& state, Point now) {
  return Planning::Run(policy, state, now);
}

}  // namespace teamscale::core

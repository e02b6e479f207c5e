#include "teamscale/postgres/cluster/constraint_modes.h"

#include <algorithm>
#include <utility>

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "access/xact.h"
}

namespace teamscale {

namespace {

// Their levels never fall from one to the next.
std::vector<ConstraintMode>& Modes() {
  static auto* modes = new std::vector<ConstraintMode>;
  return *modes;
}

}  // namespace

const std::vector<ConstraintMode>& ConstraintModes() { return Modes(); }

void NoteConstraintMode(std::string command) {
  Modes().push_back({std::move(command), GetCurrentTransactionNestLevel()});
}

void CommitConstraintModes(int level) noexcept {
  for (ConstraintMode& mode : Modes()) mode.level = std::min(mode.level, level - 1);
}

void AbortConstraintModes(int level) noexcept {
  std::erase_if(Modes(), [level](const ConstraintMode& mode) { return mode.level >= level; });
}

void ForgetConstraintModes() noexcept { Modes().clear(); }

}  // namespace teamscale

#include "teamscale/core/cluster/standing.h"

#include <algorithm>

namespace teamscale::core {

namespace {

bool KnowsMore(const NodeReport& other, const NodeReport& self) {
  return other.epoch > self.epoch || (other.epoch == self.epoch && other.node < self.node);
}

}  // namespace

Judgement Judge(const NodeReport& self, const std::optional<NodeReport>& own,
                const std::vector<NodeReport>& others, bool has_others) {
  Judgement judgement{.standing = Standing::kServing, .epoch = self.epoch};
  if (!own || own->database != self.database) {
    judgement.standing = own ? Standing::kCopy : Standing::kLost;
    return judgement;
  }
  bool heard = false;
  const NodeReport* newest = nullptr;
  for (const NodeReport& other : others) {
    // Who is being added, or was taken away, knows nothing of this cluster.
    if (other.cluster != self.cluster) continue;
    heard = heard || !other.left_out;
    if (KnowsMore(other, self) && (!newest || KnowsMore(other, *newest))) newest = &other;
  }
  if (has_others && !heard) judgement.standing = Standing::kAlone;
  if (!newest) return judgement;
  judgement.epoch = newest->epoch;
  if (newest->state_of_asker.empty())
    judgement.standing = Standing::kRemoved;
  else if (newest->state_of_asker != "active")
    judgement.standing = Standing::kDisabled;
  else if (newest->epoch > self.epoch)
    judgement.standing = Standing::kBehind;
  return judgement;
}

}  // namespace teamscale::core

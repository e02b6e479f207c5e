#include "teamscale/core/sharding/pin_graph.h"

namespace teamscale::core {

namespace {

bool Accepts(Equality wanted, Equality offered) {
  return wanted == kIdentity || offered == kIdentity || wanted == offered;
}

}  // namespace

void PropagatePins(std::span<const PinSeed> seeds, std::span<const PinEdge> edges,
                   std::span<const Equality> wanted, std::span<Pin> pins) noexcept {
  auto offer = [&](int column, int value, Equality equality) {
    if (pins[column].value != kUnpinned || !Accepts(wanted[column], equality)) return false;
    pins[column] = {value, equality};
    return true;
  };
  for (const PinSeed& seed : seeds) offer(seed.column, seed.value, seed.equality);
  // Each round pins at least one more column, so there are at most as many rounds as columns.
  for (bool changed = true; changed;) {
    changed = false;
    for (const PinEdge& edge : edges) {
      const Pin& pin = pins[edge.from];
      if (pin.value == kUnpinned) continue;
      bool passes =
          edge.equality == kIdentity || pin.equality == kIdentity || edge.equality == pin.equality;
      if (passes &&
          offer(edge.to, pin.value, pin.equality == kIdentity ? edge.equality : pin.equality))
        changed = true;
    }
  }
}

}  // namespace teamscale::core

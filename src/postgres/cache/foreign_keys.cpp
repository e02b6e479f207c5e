#include "teamscale/postgres/cache/foreign_keys.h"

namespace teamscale {

namespace {
ForeignKeys foreign_keys = {nullptr, nullptr};
}

void SetForeignKeys(const ForeignKeys& keys) { foreign_keys = keys; }

bool MayHaveForeignKeys(Oid table) { return foreign_keys.may_be && foreign_keys.may_be(table); }

bool AskForForeignKey(Cache* cache, const NullableDatum* values, Answer* answer) {
  return foreign_keys.ask && foreign_keys.ask(cache, values, answer);
}

}  // namespace teamscale

// Keys whose rows another database holds: what a higher layer, which knows of them, fills in. Plain
// dialect.
#pragma once

#include "teamscale/postgres/cache/answer.h"

namespace teamscale {

struct ForeignKeys {
  // Whether keys of this table may be another database's.
  bool (*may_be)(Oid table);
  // Whether the rows of this key are; then its answer, asked there. Called when the arena has none:
  // entries are only ever made of rows that are here.
  bool (*ask)(Cache* cache, const NullableDatum* values, Answer* answer);
};
void SetForeignKeys(const ForeignKeys& keys);

bool MayHaveForeignKeys(Oid table);
bool AskForForeignKey(Cache* cache, const NullableDatum* values, Answer* answer);

}  // namespace teamscale

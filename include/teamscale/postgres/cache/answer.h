// The function of a cache: its answer from the arena, or from the table. Plain dialect.
#pragma once

#include "teamscale/postgres/cache/definition.h"
#include "teamscale/postgres/cache/key_image.h"

namespace teamscale {

struct Answer {
  Datum value;
  bool is_null;
};

// Whether the arena may be used in this transaction, by this snapshot: kHits when so, otherwise the
// reason that is counted.
CacheCount WhyBypassed(const Cache* cache);

// Raises 42501 unless the current user may read all columns of the cache.
void CheckRights(Cache* cache);

// The keys of a call, looked up and if need be read from the table and installed. For warming: no
// value is wanted.
Answer AnswerOf(Cache* cache, const NullableDatum* values);

}  // namespace teamscale

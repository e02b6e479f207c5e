// What a backend knows of the caches of its database.
//
// A *cache* is a function and the query on one table that answers it. Its *key columns* are the
// function's arguments; its *columns* are all that the answer depends on. A cache is *guarded* when
// every table that holds its rows (its *members*: the table, its partitions) has the trigger that
// records changes; while it is not, its function reads the table.
//
// Plain dialect.
#pragma once

#include <cstdint>

#include "teamscale/postgres/boundary/server.h"
#include "teamscale/postgres/cache/statistics.h"

extern "C" {
#include "access/attnum.h"
#include "executor/spi.h"
#include "nodes/bitmapset.h"
#include "storage/lock.h"
#include "storage/proc.h"
}

namespace teamscale {

struct KeyColumn {
  NameData name;
  AttrNumber attribute;  // of the cache's table
  Oid type;
  Oid collation;
  Oid equality;
  std::int16_t length;
  bool by_value;
  bool plain;     // equal values have equal bytes: hashed without the type's function
  bool extended;  // hash is the 64-bit one
  FmgrInfo hash;
};

// What outlives every reading of the catalog.
struct CacheHistory {
  Oid function;                // hash key
  LocalTransactionId written;  // the transaction of this backend that wrote the table
  std::uint32_t place;         // as it was known last
  bool pending;                // there are counts that were not yet added to the server's
  CacheHistory* next_pending;
  CacheCounts counts;
};

// Why a cache cannot be used whatever the transaction; kGuarded: it can.
enum class Guard {
  kGuarded,
  kNoTrigger,    // a member lacks the trigger, or it is not ENABLE ALWAYS
  kRowSecurity,  // row security is on
  kForeign,      // a member is a foreign table, or a child that is no partition
  kNoPlace,      // teamscale.max_caches
  kNotLoaded,    // the server was started without the library
  kMisfit,       // a column is gone or has another type: the function raises
};

struct Cache {
  MemoryContext context;
  std::uint64_t generation;  // of definitions, as of which this was read
  Oid function;
  Oid table;
  List* ancestors;  // of the table
  int keys;
  KeyColumn* key;
  Bitmapset* columns;  // attribute numbers: keys, values, those of order and filter
  Oid result_type;
  std::int16_t result_length;
  bool result_by_value;
  bool unique;
  std::int64_t ttl;  // microseconds; 0: none
  std::int64_t near_ttl;
  std::uint64_t seed;  // of the key's hash
  Guard guard;
  char* culprit;  // the member or the column that guard speaks of
  std::uint32_t place;
  CacheHistory* history;
  char* query;
  char* key_query;  // all its keys, each once
  SPIPlanPtr plan;  // null before the first reading
  // Whose right to read was found in order, and under which generation of rights.
  Oid permitted_user;
  std::uint64_t permitted_generation;
  int pins;  // frames that use it
  bool outdated;
};

// Registers callbacks. Called once by _PG_init.
void InitDefinitions();

// Grows whenever what is known may be wrong. A Cache pointer that was found under another value is
// not used again, unless it is pinned.
extern std::uint64_t definition_generation;
// Grows when roles change.
extern std::uint64_t rights_generation;

// The cache of a function of this database, null when there is none.
Cache* FindCache(Oid function);

// All caches of the database; empty without the extension. The list belongs to this module and is
// good until definition_generation grows.
struct Caches {
  int count;
  Cache** cache;
};
Caches AllCaches();

// Whether a relation is a cached table, or belongs to one, as far as is known.
bool ConcernsCaches(Oid relation);

// Counts for a cache: see statistics.h.
void NotePending(CacheHistory* history);
inline void Count(Cache* cache, CacheCount what, std::uint64_t by = 1) {
  cache->history->counts.count[what] += by;
  if (unlikely(!cache->history->pending)) NotePending(cache->history);
}
// The server's figures.
CacheCounts CountsOf(const Cache* cache);

// While a cache is pinned it is not freed; an error that leaves the frame leaves the pin, and some
// memory with it.
inline void Pin(Cache* cache) { ++cache->pins; }
void Unpin(Cache* cache);

// Makes all backends read the catalog of caches again, once this transaction has committed.
void InvalidateDefinitions();

}  // namespace teamscale

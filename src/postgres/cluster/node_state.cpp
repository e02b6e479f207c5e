#include "teamscale/postgres/cluster/node_state.h"

#include <optional>
#include <string>

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/cluster/boot.h"
#include "teamscale/postgres/cluster/catch_up.h"
#include "teamscale/postgres/cluster/map.h"

extern "C" {
#include "common/hashfn.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/hsearch.h"
#include "utils/timestamp.h"
}

namespace teamscale {

namespace {

using core::Standing;

constexpr int kMaxDatabases = 1024;
// How long an answer that may change by itself is believed.
constexpr int kRecheckMilliseconds = 1000;

// What was found about a database, as the node that it was then: a database can become a node, stop
// being one, and be moved.
struct DatabaseState {
  Oid database;  // hash key
  std::uint64_t identity;
  std::int64_t epoch;
  Standing standing;
  TimestampTz checked_at;
};

// Grows whenever the state of any database changes.
struct Control {
  pg_atomic_uint64 generation;
};

Control* control = nullptr;
HTAB* states = nullptr;
LWLock* lock = nullptr;
shmem_request_hook_type previous_shmem_request = nullptr;
shmem_startup_hook_type previous_shmem_startup = nullptr;

// Of which state, and of which map of this backend, it was seen that this database serves.
std::uint64_t seen_generation = 0;
std::uint64_t seen_map = 0;

void RequestSharedMemory() {
  if (previous_shmem_request) previous_shmem_request();
  RequestAddinShmemSpace(hash_estimate_size(kMaxDatabases, sizeof(DatabaseState)));
  RequestAddinShmemSpace(sizeof(Control));
  RequestNamedLWLockTranche("teamscale node state", 1);
}

void StartSharedMemory() {
  if (previous_shmem_startup) previous_shmem_startup();
  LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
  bool found;
  control = static_cast<Control*>(
      ShmemInitStruct("teamscale node state generation", sizeof(Control), &found));
  if (!found) pg_atomic_init_u64(&control->generation, 1);
  HASHCTL hash{};
  hash.keysize = sizeof(Oid);
  hash.entrysize = sizeof(DatabaseState);
  states = ShmemInitHash("teamscale node state", kMaxDatabases, kMaxDatabases, &hash,
                         HASH_ELEM | HASH_BLOBS);
  lock = &GetNamedLWLockTranche("teamscale node state")->lock;
  LWLockRelease(AddinShmemInitLock);
}

std::uint64_t Identity(const Self& self) {
  std::string text = self.report.cluster + " " + std::to_string(self.report.node);
  if (const core::Node* own = self.own_node()) text += " " + own->conninfo;
  return hash_bytes_extended(reinterpret_cast<const unsigned char*>(text.data()),
                             static_cast<int>(text.size()), 0);
}

// A standing and the generation of which it is.
struct Known {
  Standing standing;
  std::uint64_t generation;
};

std::optional<Known> Recall(const Self& self) {
  std::optional<Known> known;
  std::uint64_t identity = Identity(self);
  std::int64_t epoch = self.report.epoch;
  TimestampTz now = GetCurrentTimestamp();
  CallPostgres([&] {
    LWLockAcquire(lock, LW_SHARED);
    auto* state =
        static_cast<DatabaseState*>(hash_search(states, &MyDatabaseId, HASH_FIND, nullptr));
    if (state && state->identity == identity &&
        (state->standing == Standing::kServing ||
         (state->epoch == epoch &&
          !TimestampDifferenceExceeds(state->checked_at, now, kRecheckMilliseconds))))
      known = Known{state->standing, pg_atomic_read_u64(&control->generation)};
    LWLockRelease(lock);
  });
  return known;
}

Known Remember(const Self& self, Standing standing) {
  Known known{standing, 0};
  std::uint64_t identity = Identity(self);
  std::int64_t epoch = self.report.epoch;
  TimestampTz now = GetCurrentTimestamp();
  CallPostgres([&] {
    LWLockAcquire(lock, LW_EXCLUSIVE);
    bool found;
    auto* state =
        static_cast<DatabaseState*>(hash_search(states, &MyDatabaseId, HASH_ENTER_NULL, &found));
    if (state) {
      if (!found || state->identity != identity || state->standing != standing)
        pg_atomic_fetch_add_u64(&control->generation, 1);
      state->identity = identity;
      state->epoch = epoch;
      state->standing = standing;
      state->checked_at = now;
    }
    known.generation = pg_atomic_read_u64(&control->generation);
    LWLockRelease(lock);
  });
  return known;
}

// What is behind now may have caught up in a moment.
Standing AfterCatchingUp(const core::Judgement& judgement) {
  if (judgement.standing != Standing::kBehind) return judgement.standing;
  return CatchesUpWith(judgement.epoch) ? Standing::kServing : Standing::kBehind;
}

bool MayServe(Standing standing) {
  return standing == Standing::kServing || standing == Standing::kAlone;
}

[[noreturn]] void Refuse(const Self& self, Standing standing) {
  constexpr int kState = ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
  const core::Node* own = self.own_node();
  std::string name = own ? "\"" + own->name + "\"" : std::to_string(self.report.node);
  std::string conninfo = own ? " is \"" + own->conninfo + "\"." : " is not known here.";
  std::string enable = "Call teamscale.enable_node() for node " + name + " on an active node";
  switch (standing) {
    case Standing::kServing:
    case Standing::kAlone:
      break;
    case Standing::kCopy:
      throw Error(kState, "this database is a copy of node " + name + ", not the node",
                  "The node's connection string leads to another database. It" + conninfo,
                  enable + ", with this database's connection string, to make it the node.");
    case Standing::kLost:
      throw Error(kState, "this database cannot reach itself as node " + name,
                  "Nobody answers under the node's connection string. It" + conninfo,
                  "Make it lead here again; or, if this is a copy of the node or the node has "
                  "moved, call teamscale.enable_node() for it on an active node, with this "
                  "database's connection string.");
    case Standing::kDisabled:
      throw Error(kState, "this node is disabled", "The cluster has left node " + name + " out.",
                  enable + ".");
    case Standing::kRemoved:
      throw Error(kState, "this database is no node of its cluster any more",
                  "Node " + name + " was removed from it.",
                  "Call teamscale.add_node() for this database on an active node, or drop it.");
    case Standing::kBehind:
      if (WaitsForDecision(self))
        throw Error(kState, "this node waits for the decision on a change of the cluster",
                    "Its catalog misses the change, which is prepared here.",
                    "The view teamscale.in_doubt_transaction shows which node decides.");
      throw Error(kState, "this node is behind the cluster",
                  "The catalog of node " + name + " missed changes that an active node has.",
                  enable + ".");
  }
  throw Error(ERRCODE_INTERNAL_ERROR, "a serving node was refused");
}

}  // namespace

void InitNodeState() {
  if (!process_shared_preload_libraries_in_progress) return;
  previous_shmem_request = shmem_request_hook;
  shmem_request_hook = RequestSharedMemory;
  previous_shmem_startup = shmem_startup_hook;
  shmem_startup_hook = StartSharedMemory;
}

bool KnownToServe() {
  return control && seen_generation == pg_atomic_read_u64(&control->generation) &&
         seen_map == ShardMapVersion();
}

void RequireServingNode() {
  // First, so that a map that was invalidated counts as another one.
  if (!CurrentShardMap() || KnownToServe()) return;
  EnterFromPostgres([] {
    if (!LoadedAtServerStart())
      throw Error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                  "the server was started without teamscale",
                  "A sharded table would show this node's rows as if they were all.",
                  "Add teamscale to shared_preload_libraries and restart the server.");
    std::uint64_t map = ShardMapVersion();
    std::optional<Self> self = ReadSelf();
    if (!self) return;
    std::optional<Known> known = Recall(*self);
    if (!known)
      known = Remember(*self, AfterCatchingUp(Judge(*self, VisitNodes(*self, Visited::kActive))));
    if (!MayServe(known->standing)) Refuse(*self, known->standing);
    if (known->standing != Standing::kServing) return;
    seen_generation = known->generation;
    seen_map = map;
  });
}

bool NoteRound(const Self& self, const Round& round) {
  std::optional<Known> known = Recall(self);
  bool serves = known && known->standing == Standing::kServing;
  core::Judgement judgement = Judge(self, round);
  // What serves goes on until it is told otherwise: that nobody answers tells nothing.
  if (serves && judgement.standing == Standing::kLost) return false;
  if (serves && judgement.standing == Standing::kAlone) return true;
  Standing standing = AfterCatchingUp(judgement);
  // It keeps the map that it has while it is not decided whether there is a newer one.
  if (serves && standing == Standing::kBehind && WaitsForDecision(self)) return true;
  Remember(self, standing);
  return MayServe(standing);
}

}  // namespace teamscale

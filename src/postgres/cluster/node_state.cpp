#include "teamscale/postgres/cluster/node_state.h"

#include <optional>
#include <string>

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/cluster/boot.h"
#include "teamscale/postgres/cluster/catalog.h"
#include "teamscale/postgres/cluster/conninfo_query.h"
#include "teamscale/postgres/cluster/map.h"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/jsonb.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"
}

namespace teamscale {

namespace {

constexpr int kMaxDatabases = 1024;
// How long an answer that may change by itself is believed.
constexpr int kRecheckMilliseconds = 1000;
// How long a catalog change that is committed on another node may take to be committed here.
constexpr int kCatchUpMilliseconds = 2000;
constexpr int kCatchUpStepMilliseconds = 20;

enum class Standing {
  kServing,   // found to be the node, and the only one or up to date with one that answered
  kAlone,     // found to be the node; no other node answered
  kCopy,      // its own conninfo leads elsewhere
  kDisabled,  // another node has disabled it
  kBehind,    // another node's epoch is higher
};

struct DatabaseState {
  Oid database;  // hash key
  Standing standing;
  TimestampTz checked_at;
};

HTAB* states = nullptr;
LWLock* lock = nullptr;
shmem_request_hook_type previous_shmem_request = nullptr;
shmem_startup_hook_type previous_shmem_startup = nullptr;

// What this backend has seen to serve does so until the server restarts.
bool seen_serving = false;

void RequestSharedMemory() {
  if (previous_shmem_request) previous_shmem_request();
  RequestAddinShmemSpace(hash_estimate_size(kMaxDatabases, sizeof(DatabaseState)));
  RequestNamedLWLockTranche("teamscale node state", 1);
}

void StartSharedMemory() {
  if (previous_shmem_startup) previous_shmem_startup();
  LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
  HASHCTL control{};
  control.keysize = sizeof(Oid);
  control.entrysize = sizeof(DatabaseState);
  states = ShmemInitHash("teamscale node state", kMaxDatabases, kMaxDatabases, &control,
                         HASH_ELEM | HASH_BLOBS);
  lock = &GetNamedLWLockTranche("teamscale node state")->lock;
  LWLockRelease(AddinShmemInitLock);
}

std::optional<Standing> KnownStanding() {
  std::optional<Standing> standing;
  LWLockAcquire(lock, LW_SHARED);
  auto* state = static_cast<DatabaseState*>(hash_search(states, &MyDatabaseId, HASH_FIND, nullptr));
  if (state &&
      (state->standing == Standing::kServing ||
       !TimestampDifferenceExceeds(state->checked_at, GetCurrentTimestamp(), kRecheckMilliseconds)))
    standing = state->standing;
  LWLockRelease(lock);
  return standing;
}

void Remember(Standing standing) {
  LWLockAcquire(lock, LW_EXCLUSIVE);
  bool found;
  auto* state =
      static_cast<DatabaseState*>(hash_search(states, &MyDatabaseId, HASH_ENTER_NULL, &found));
  if (state) {
    state->standing = standing;
    state->checked_at = GetCurrentTimestamp();
  }
  LWLockRelease(lock);
}

const char* SettlingRole() {
  Relation relation = table_open(CatalogRelation(CatalogTable::kCluster), AccessShareLock);
  SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, nullptr, 0, nullptr);
  const char* role = "";
  if (HeapTuple tuple = systable_getnext(scan)) {
    bool is_null;
    Datum value = heap_getattr(tuple, 4, RelationGetDescr(relation), &is_null);
    role = pstrdup(NameStr(*DatumGetName(value)));
  }
  systable_endscan(scan);
  table_close(relation, AccessShareLock);
  return role;
}

// What another database says of itself and of this node.
struct Answer {
  std::string database;  // "boot id oid"
  std::int64_t epoch = 0;
  std::string state_of_this_node;  // empty when it knows none
};

Answer Ask(const std::string& conninfo, const std::string& role, core::NodeId self) {
  std::string sql =
      "SELECT concat_ws(E'\\n', i #>> '{database,boot}', i #>> '{database,oid}', "
      "coalesce(i ->> 'epoch', '0'), coalesce(i #>> '{states," +
      std::to_string(self) + "}', '')) FROM teamscale_internal.node_identity() AS i";
  std::string text = QueryConninfo(conninfo, role, sql).value_or("\n\n0\n");
  auto take = [&text] {
    std::size_t end = std::min(text.find('\n'), text.size());
    std::string part = text.substr(0, end);
    text.erase(0, std::min(end + 1, text.size()));
    return part;
  };
  Answer answer;
  answer.database = take() + " ";
  answer.database += take();
  answer.epoch = std::stoll(take());
  answer.state_of_this_node = take();
  return answer;
}

std::string OwnDatabase() {
  const char* own = CallPostgres([] {
    return static_cast<const char*>(
        psprintf("%016llx %u", static_cast<unsigned long long>(ServerBootId()), MyDatabaseId));
  });
  return own;
}

// A catalog change is committed on one node before another: what is behind now may be there in a
// moment.
bool CatchesUpWith(std::int64_t epoch) {
  for (int waited = 0;; waited += kCatchUpStepMilliseconds) {
    const core::ShardMap* map = CallPostgres([] {
      AcceptInvalidationMessages();
      return CurrentShardMap();
    });
    if (map && map->epoch() >= epoch) return true;
    if (waited >= kCatchUpMilliseconds) return false;
    CallPostgres([] {
      (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
                      kCatchUpStepMilliseconds, PG_WAIT_EXTENSION);
      ResetLatch(MyLatch);
      CHECK_FOR_INTERRUPTS();
    });
  }
}

Standing FindStanding(const core::ShardMap& map) {
  std::string role = CallPostgres([] { return SettlingRole(); });
  core::NodeId self = map.local_node();
  const core::Node* own = map.FindNode(self);
  if (!own) return Standing::kCopy;
  if (Ask(own->conninfo, role, self).database != OwnDatabase()) return Standing::kCopy;
  Standing standing = Standing::kServing;
  for (const core::Node& node : map.nodes()) {
    if (node.id == self || node.state != core::NodeState::kActive) continue;
    standing = Standing::kAlone;
    Answer answer;
    try {
      answer = Ask(node.conninfo, role, self);
    } catch (const PostgresError& error) {
      // Only an unreachable node lets us go on to the next; a cancel or time-out is the caller's.
      if (ERRCODE_TO_CATEGORY(error.data()->sqlerrcode) != ERRCODE_CONNECTION_EXCEPTION) throw;
      continue;
    }
    // A database that is being added knows nothing yet.
    if (answer.epoch == 0) continue;
    if (answer.state_of_this_node != "active") return Standing::kDisabled;
    return CatchesUpWith(answer.epoch) ? Standing::kServing : Standing::kBehind;
  }
  return standing;
}

// Nothing when this database is no node.
std::optional<Standing> CurrentStanding() {
  const core::ShardMap* map = CallPostgres([] { return CurrentShardMap(); });
  if (!map) return std::nullopt;
  if (!LoadedAtServerStart())
    throw Error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                "the server was started without teamscale",
                "A sharded table would show this node's rows as if they were all.",
                "Add teamscale to shared_preload_libraries and restart the server.");
  std::optional<Standing> known = CallPostgres([] { return KnownStanding(); });
  if (known) return known;
  Standing standing = FindStanding(*map);
  CallPostgres([standing] { Remember(standing); });
  return standing;
}

bool MayServe(Standing standing) {
  return standing == Standing::kServing || standing == Standing::kAlone;
}

[[noreturn]] void Refuse(Standing standing) {
  constexpr int kState = ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
  constexpr char kHint[] = "Call teamscale.enable_node() for it on an active node.";
  if (standing == Standing::kCopy)
    throw Error(kState, "this database is a copy of a node, not the node",
                "The node's connection string leads to another database.", kHint);
  if (standing == Standing::kDisabled)
    throw Error(kState, "this node is disabled", "Another node has left it out of the cluster.",
                kHint);
  throw Error(kState, "this node is behind the cluster",
              "Its catalog missed changes that an active node has.", kHint);
}

}  // namespace

void InitNodeState() {
  if (!process_shared_preload_libraries_in_progress) return;
  previous_shmem_request = shmem_request_hook;
  shmem_request_hook = RequestSharedMemory;
  previous_shmem_startup = shmem_startup_hook;
  shmem_startup_hook = StartSharedMemory;
}

void RequireServingNode() {
  if (seen_serving) return;
  EnterFromPostgres([] {
    std::optional<Standing> standing = CurrentStanding();
    if (standing && !MayServe(*standing)) Refuse(*standing);
    seen_serving = standing == Standing::kServing;
  });
}

bool IsServingNode() {
  return EnterFromPostgres([] {
    std::optional<Standing> standing = CurrentStanding();
    return standing && MayServe(*standing);
  });
}

}  // namespace teamscale

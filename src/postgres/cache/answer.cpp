#include "teamscale/postgres/cache/answer.h"

#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/boundary/wait_point.h"
#include "teamscale/postgres/cache/cache_advice.h"
#include "teamscale/postgres/cache/definition_changes.h"
#include "teamscale/postgres/cache/flight.h"
#include "teamscale/postgres/cache/foreign_keys.h"
#include "teamscale/postgres/cache/guard_removal.h"
#include "teamscale/postgres/cache/read_through.h"
#include "teamscale/postgres/cache/shared_cache.h"

extern "C" {
#include "access/parallel.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "replication/logicalworker.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
}

namespace teamscale {

namespace {

// Of an entry's flags.
constexpr std::uint16_t kNull = 1;
constexpr std::uint16_t kNear = 2;

// --- Whether the arena may be used

CacheCount ReasonOfGuard(const Cache* cache) {
  switch (cache->guard) {
    case Guard::kGuarded:
      return kHits;
    case Guard::kRowSecurity:
      return kRowSecurity;
    default:
      return kNotGuarded;
  }
}

// A parallel worker does not know what its leader has written; the leader's transaction id says
// whether it may have.
bool MayHaveWritten(const Cache* cache) {
  if (cache->history->written == MyProc->lxid || HasChangedDefinition())
    return !GuardIsRemoved("own writes");
  return IsParallelWorker() && TransactionIdIsValid(GetTopTransactionIdIfAny());
}

// --- A call

struct Call {
  Cache* cache;
  const NullableDatum* values;
  KeyImage image;
  core::Reader reader;
  Snapshot snapshot;
};

void TakeReader(Call* call) {
  const Cache* cache = call->cache;
  call->reader.stamp = arena.Stamp(cache->place);
  call->reader.floor = arena.Floor(cache->place);
  call->reader.horizon = FullXid(call->snapshot->xmin);
  if (GuardIsRemoved("latest horizon")) call->reader.horizon = NextFullXid();
  call->reader.now = cache->ttl != 0 || cache->near_ttl != 0 ? GetCurrentTimestamp() : 0;
}

bool CopyAnswer(const Cache* cache, const core::Found& found, Answer* answer) {
  answer->is_null = (found.flags & kNull) != 0;
  answer->value = Datum{0};
  if (answer->is_null) return true;
  if (cache->result_by_value) {
    std::uint64_t word = 0;
    bool whole = arena.Read(found, &word);
    answer->value = word;
    return whole;
  }
  auto* words =
      static_cast<std::uint64_t*>(palloc(core::WordsOfBytes(found.value_bytes) * sizeof(Datum)));
  answer->value = PointerGetDatum(words);
  return arena.Read(found, words);
}

// kHits, or why not.
CacheCount LookUp(Call* call, Answer* answer) {
  TakeReader(call);
  Cache* cache = call->cache;
  for (int attempt = 0; attempt < 16; ++attempt) {
    core::Found found = arena.Find(call->image.key(), call->reader);
    switch (found.outcome) {
      case core::Lookup::kHit:
        if (!CopyAnswer(cache, found, answer)) continue;
        if (found.flags & kNear) Count(cache, kNearHits);
        NoteLookUp(call->image.hash,
                   core::BlocksOfWords(core::EntryWords(
                       {found.value_bytes, static_cast<std::uint16_t>(found.key_words), 0})));
        return kHits;
      case core::Lookup::kExpired:
        return kExpired;
      case core::Lookup::kRecentWrite:
        return kRecentWrite;
      case core::Lookup::kAbsent:
        return kAbsent;
    }
  }
  return kAbsent;
}

core::NewValue BytesOfAnswer(const Cache* cache, const Answer& answer, const Datum* by_value) {
  core::NewValue value{};
  if (answer.is_null) {
    value.flags = kNull;
  } else if (cache->result_by_value) {
    value.bytes = {reinterpret_cast<const std::byte*>(by_value), sizeof(Datum)};
  } else {
    const auto* bytes = reinterpret_cast<const std::byte*>(DatumGetPointer(answer.value));
    std::size_t size = cache->result_length == -1 ? VARSIZE_ANY(DatumGetPointer(answer.value))
                       : cache->result_length == -2
                           ? strlen(DatumGetCString(answer.value)) + 1
                           : static_cast<std::size_t>(cache->result_length);
    value.bytes = {bytes, size};
  }
  return value;
}

// An array without elements is as much a missing key as no row is.
bool IsNegative(const Cache* cache, const Answer& answer) {
  return answer.is_null || (!cache->unique && ARR_NDIM(DatumGetArrayTypeP(answer.value)) == 0);
}

void Install(Call* call, const Answer& answer, std::int64_t ttl, std::uint16_t flags) {
  Cache* cache = call->cache;
  core::NewValue value = BytesOfAnswer(cache, answer, &answer.value);
  value.flags |= flags;
  if (ttl != 0) value.expires = GetCurrentTimestamp() + ttl;
  std::uint32_t stripe = arena.StripeOf(call->image.hash);
  LockStripe(stripe);
  core::Install result = arena.Put(call->image.key(), call->reader, value);
  UnlockStripe(stripe);
  switch (result) {
    case core::Install::kDone:
      NoteLookUp(call->image.hash, core::BlocksOfWords(call->image.key().image.size() +
                                                       core::WordsOfBytes(value.bytes.size())));
      Count(cache, kInstalls);
      Count(cache, kValueBytes, value.bytes.size());
      if (IsNegative(cache, answer)) Count(cache, kNegative);
      break;
    case core::Install::kRecentWrite:
      Count(cache, kInstallRecentWrite);
      break;
    case core::Install::kOutdated:
      Count(cache, kInstallOutdated);
      break;
    case core::Install::kTooLarge:
      Count(cache, kInstallTooLarge);
      break;
  }
}

// Another node's rows: kept for near_ttl if the cache's creator allowed it.
bool AskElsewhere(Call* call, bool usable, Answer* answer) {
  Cache* cache = call->cache;
  if (!AskForForeignKey(cache, call->values, answer)) return false;
  Count(cache, kRemote);
  if (usable && cache->near_ttl != 0) Install(call, *answer, cache->near_ttl, kNear);
  return true;
}

Answer ReadAndInstall(Call* call) {
  Cache* cache = call->cache;
  // The stamp and the floor are taken after it was found that no change of the table is under way,
  // and before the table is read: a change that begins later gives another stamp.
  bool settled = DefinitionIsSettled(cache) || GuardIsRemoved("definition lock");
  settled = settled && cache->generation == definition_generation;
  if (settled) TakeReader(call);
  Answer answer = ReadTable(cache, call->values);
  TEAMSCALE_WAIT_POINT("cache answer read");
  if (!settled)
    Count(cache, kInstallDefinition);
  else if (MayHaveWritten(cache))
    Count(cache, kInstallRecentWrite);  // a function within the query wrote
  else
    Install(call, answer, cache->ttl, 0);
  return answer;
}

Answer Miss(Call* call, CacheCount reason) {
  Cache* cache = call->cache;
  Answer answer;
  bool usable = reason == kAbsent || reason == kExpired;
  if (AskElsewhere(call, usable, &answer)) {
    Count(cache, reason);
    return answer;
  }
  if (!usable) {
    Count(cache, reason);
    return ReadTable(cache, call->values);
  }
  FlightTicket ticket;
  if (!BeginFlight(call->image.hash, cache->place, &ticket)) {
    Count(cache, kFlightWaits);
    AwaitFlight(ticket);
    CacheCount again = LookUp(call, &answer);
    Count(cache, again == kHits ? kHits : again);
    if (again == kHits) return answer;
    return again == kRecentWrite ? ReadTable(cache, call->values) : ReadAndInstall(call);
  }
  Count(cache, reason);
  PG_TRY();
  { answer = ReadAndInstall(call); }
  PG_FINALLY();
  { EndFlight(ticket); }
  PG_END_TRY();
  return answer;
}

// Off the fast path: a pin for what may run meanwhile.
pg_noinline Answer SlowAnswer(Call* call, CacheCount reason) {
  Pin(call->cache);
  Answer answer = Miss(call, reason);
  Unpin(call->cache);
  return answer;
}

pg_noinline Answer BypassedAnswer(Call* call, CacheCount reason) {
  Cache* cache = call->cache;
  Pin(cache);
  Count(cache, reason);
  Answer answer;
  if (!AskElsewhere(call, false, &answer)) answer = ReadTable(cache, call->values);
  Unpin(cache);
  return answer;
}

// --- Call sites

struct CallSite {
  std::uint64_t generation;
  Cache* cache;
};

[[noreturn]] void RefuseMisfit(const Cache* cache) {
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                  errmsg("cache \"%s\" does not fit table \"%s\" any more",
                         get_func_name(cache->function), get_rel_name(cache->table)),
                  errdetail("Column \"%s\" is gone, or has another type.", cache->culprit),
                  errhint("Drop the cache with teamscale.drop_cache() and create it anew.")));
  pg_unreachable();
}

pg_noinline Cache* Resolve(FmgrInfo* function) {
  Cache* cache = FindCache(function->fn_oid);
  if (!cache)
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("function \"%s\" has no cache", get_func_name(function->fn_oid)),
                    errdetail("Its table was dropped, or the extension was created anew."),
                    errhint("Drop the function, and create the cache with "
                            "teamscale.create_cache().")));
  if (cache->guard == Guard::kMisfit) RefuseMisfit(cache);
  // A standby that was promoted meanwhile.
  if (cache->place == kNoPlace && cache->guard == Guard::kGuarded && !RecoveryInProgress()) {
    ++definition_generation;
    cache = FindCache(function->fn_oid);
  }
  auto* site = static_cast<CallSite*>(function->fn_extra);
  if (!site) {
    site = static_cast<CallSite*>(MemoryContextAlloc(function->fn_mcxt, sizeof(CallSite)));
    function->fn_extra = site;
  }
  *site = {definition_generation, cache};
  return cache;
}

inline Cache* CacheOfCall(FmgrInfo* function) {
  // What others have committed since is seen, as a query would see it: rights above all.
  AcceptInvalidationMessages();
  auto* site = static_cast<CallSite*>(function->fn_extra);
  if (likely(site && site->generation == definition_generation)) return site->cache;
  return Resolve(function);
}

// --- Rights

bool MayReadColumns(const Cache* cache, Oid user) {
  if (pg_class_aclcheck(cache->table, user, ACL_SELECT) == ACLCHECK_OK) return true;
  for (int column = -1; (column = bms_next_member(cache->columns, column)) >= 0;)
    if (pg_attribute_aclcheck(cache->table, static_cast<AttrNumber>(column), user, ACL_SELECT) !=
        ACLCHECK_OK)
      return false;
  return true;
}

pg_noinline void FindRights(Cache* cache) {
  Oid user = GetUserId();
  std::uint64_t generation = rights_generation;
  if (!MayReadColumns(cache, user))
    aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, get_rel_name(cache->table));
  cache->permitted_user = user;
  cache->permitted_generation = generation;
}

}  // namespace

CacheCount WhyBypassed(const Cache* cache) {
  if (unlikely(cache->guard != Guard::kGuarded) && !GuardIsRemoved("triggers"))
    return ReasonOfGuard(cache);
  if (unlikely(RecoveryInProgress() || cache->place == kNoPlace)) return kRecovery;
  if (unlikely(IsolationIsSerializable())) return kSerializable;
  if (unlikely(MayHaveWritten(cache))) return kOwnWrite;
  if (unlikely(IsLogicalWorker())) return kLogicalApply;
  if (unlikely(!OwnsPlace(cache->place, cache->function))) return kOtherBypass;
  if (unlikely(!ActiveSnapshotSet() || GetActiveSnapshot()->snapshot_type != SNAPSHOT_MVCC))
    return kOtherBypass;
  return kHits;
}

void CheckRights(Cache* cache) {
  if (unlikely(cache->permitted_user != GetUserId() ||
               cache->permitted_generation != rights_generation))
    FindRights(cache);
}

Answer AnswerOf(Cache* cache, const NullableDatum* values) {
  Call call;
  call.cache = cache;
  call.values = values;
  CacheCount reason = WhyBypassed(cache);
  if (unlikely(reason != kHits)) return BypassedAnswer(&call, reason);
  call.snapshot = GetActiveSnapshot();
  MakeKeyImage(cache, values, &call.image);
  if (unlikely(!call.image.fits)) return BypassedAnswer(&call, kOtherBypass);
  Answer answer;
  reason = LookUp(&call, &answer);
  if (unlikely(reason != kHits)) return SlowAnswer(&call, reason);
  Count(cache, kHits);
  return answer;
}

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_cached_answer) {
  using namespace teamscale;
  Cache* cache = CacheOfCall(fcinfo->flinfo);
  CheckRights(cache);
  Answer answer = AnswerOf(cache, fcinfo->args);
  fcinfo->isnull = answer.is_null;
  return answer.value;
}

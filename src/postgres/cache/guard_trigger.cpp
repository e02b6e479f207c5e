// The trigger that records changes, AFTER each row: old and new key are final then.
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/cache/cache_advice.h"
#include "teamscale/postgres/cache/guard_removal.h"
#include "teamscale/postgres/cache/key_image.h"
#include "teamscale/postgres/cache/shared_cache.h"

extern "C" {
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/partition.h"
#include "commands/trigger.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
}

namespace teamscale {

namespace {

// A cache as one member of its table sees it: columns may have other numbers there.
struct GuardedCache {
  Cache* cache;
  AttrNumber key[INDEX_MAX_KEYS];
  int columns;
  AttrNumber* column;
};

struct GuardSite {
  std::uint64_t generation;
  MemoryContext context;
  int count;
  GuardedCache* guarded;
};

AttrNumber NumberIn(Oid member, const Cache* cache, AttrNumber attribute) {
  if (member == cache->table) return attribute;
  return get_attnum(member, get_attname(cache->table, attribute, false));
}

void AddCache(GuardSite* site, Oid member, Cache* cache) {
  GuardedCache* guarded = &site->guarded[site->count++];
  guarded->cache = cache;
  for (int i = 0; i < cache->keys; ++i)
    guarded->key[i] = NumberIn(member, cache, cache->key[i].attribute);
  guarded->columns = 0;
  guarded->column = static_cast<AttrNumber*>(
      palloc(sizeof(AttrNumber) * static_cast<std::size_t>(bms_num_members(cache->columns))));
  for (int column = -1; (column = bms_next_member(cache->columns, column)) >= 0;)
    guarded->column[guarded->columns++] = NumberIn(member, cache, static_cast<AttrNumber>(column));
}

// The caches whose rows a relation holds.
pg_noinline GuardSite* FindSite(FmgrInfo* function, Oid member) {
  auto* site = static_cast<GuardSite*>(function->fn_extra);
  if (!site) {
    site = static_cast<GuardSite*>(MemoryContextAllocZero(function->fn_mcxt, sizeof(GuardSite)));
    function->fn_extra = site;
  }
  if (site->context) MemoryContextDelete(site->context);
  site->context = AllocSetContextCreate(function->fn_mcxt, "teamscale guard", ALLOCSET_SMALL_SIZES);
  site->count = 0;
  site->generation = 0;
  MemoryContext previous = MemoryContextSwitchTo(site->context);
  Caches all = AllCaches();
  std::uint64_t generation = definition_generation;
  List* ancestors = get_rel_relispartition(member) ? get_partition_ancestors(member) : NIL;
  site->guarded = static_cast<GuardedCache*>(
      palloc(sizeof(GuardedCache) * static_cast<std::size_t>(all.count + 1)));
  for (int i = 0; i < all.count; ++i) {
    Cache* cache = all.cache[i];
    bool holds = cache->table == member || list_member_oid(ancestors, cache->table);
    if (holds && cache->guard != Guard::kMisfit) AddCache(site, member, cache);
  }
  MemoryContextSwitchTo(previous);
  site->generation = generation;
  return site;
}

bool Differs(TupleDesc descriptor, AttrNumber column, HeapTuple before, HeapTuple after) {
  bool null_before;
  bool null_after;
  Datum old_value = heap_getattr(before, column, descriptor, &null_before);
  Datum new_value = heap_getattr(after, column, descriptor, &null_after);
  if (null_before || null_after) return null_before != null_after;
  Form_pg_attribute attribute = TupleDescAttr(descriptor, column - 1);
  return !datumIsEqual(old_value, new_value, attribute->attbyval, attribute->attlen);
}

// Whether an answer may differ afterwards. Two images of one value count as a difference.
bool ChangesAnswers(const GuardedCache* guarded, TupleDesc descriptor, HeapTuple before,
                    HeapTuple after) {
  for (int i = 0; i < guarded->columns; ++i)
    if (Differs(descriptor, guarded->column[i], before, after)) return true;
  return false;
}

void RecordHash(Cache* cache, std::uint64_t hash, std::uint64_t writer) {
  if (arena.IsRecorded(hash, writer)) return;
  std::uint32_t stripe = arena.StripeOf(hash);
  LockStripe(stripe);
  int dropped = arena.Record(hash, writer);
  UnlockStripe(stripe);
  NoteChange(hash);
  if (dropped) Count(cache, kDropped, static_cast<std::uint64_t>(dropped));
}

void RecordRow(GuardedCache* guarded, TupleDesc descriptor, HeapTuple row, std::uint64_t writer) {
  Cache* cache = guarded->cache;
  NullableDatum values[INDEX_MAX_KEYS];
  for (int i = 0; i < cache->keys; ++i) {
    values[i].value = heap_getattr(row, guarded->key[i], descriptor, &values[i].isnull);
    if (values[i].isnull) return;  // nobody can ask for it
  }
  KeyImage image;
  MakeKeyImage(cache, values, &image);
  RecordHash(cache, image.hash, writer);
}

void RecordChange(GuardedCache* guarded, const TriggerData* trigger, std::uint64_t writer) {
  TupleDesc descriptor = RelationGetDescr(trigger->tg_relation);
  bool update = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event);
  if (update && !ChangesAnswers(guarded, descriptor, trigger->tg_trigtuple, trigger->tg_newtuple))
    return;
  if (!GuardIsRemoved("old key") || !update)
    RecordRow(guarded, descriptor, trigger->tg_trigtuple, writer);
  if (update && !GuardIsRemoved("new key"))
    RecordRow(guarded, descriptor, trigger->tg_newtuple, writer);
}

}  // namespace

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_guard_cache) {
  using namespace teamscale;
  if (!CALLED_AS_TRIGGER(fcinfo))
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("guard_cache() must be called as a trigger")));
  auto* trigger = reinterpret_cast<TriggerData*>(fcinfo->context);
  if (!TRIGGER_FIRED_AFTER(trigger->tg_event) || !TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("guard_cache() must be fired AFTER ROW")));
  if (!HasArena() || GuardIsRemoved("record")) return PointerGetDatum(nullptr);
  auto* site = static_cast<GuardSite*>(fcinfo->flinfo->fn_extra);
  if (unlikely(!site || site->generation != definition_generation))
    site = FindSite(fcinfo->flinfo, RelationGetRelid(trigger->tg_relation));
  if (site->count > 0) {
    std::uint64_t writer = U64FromFullTransactionId(GetTopFullTransactionId());
    for (int i = 0; i < site->count; ++i) RecordChange(&site->guarded[i], trigger, writer);
  }
  return PointerGetDatum(nullptr);
}

#include "teamscale/postgres/events/relation_plan.h"

#include "teamscale/core/events/schema_version.h"
#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/events/row_filter.h"

extern "C" {
#include "access/htup_details.h"
#include "access/sysattr.h"
#include "catalog/partition.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "nodes/bitmapset.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"
}

namespace teamscale {

namespace {

// The contexts that live in this backend, so that invalidations reach them: one at a time in
// practice.
RelationPlans* live_plans = nullptr;
bool callbacks_registered = false;

void OnRelation(Datum, Oid) {
  if (live_plans) live_plans->Invalidate();
}
void OnSyscache(Datum, int, uint32) {
  if (live_plans) live_plans->Invalidate();
}

// There is no way to unregister: once per backend.
void RegisterCallbacks() {
  if (callbacks_registered) return;
  CacheRegisterRelcacheCallback(OnRelation, Datum{0});
  CacheRegisterSyscacheCallback(TYPEOID, OnSyscache, Datum{0});
  CacheRegisterSyscacheCallback(NAMESPACEOID, OnSyscache, Datum{0});
  callbacks_registered = true;
}

Oid RootOf(Relation relation, bool leaf_names) {
  Oid relid = RelationGetRelid(relation);
  if (!relation->rd_rel->relispartition || leaf_names) return relid;
  List* ancestors = get_partition_ancestors(relid);
  return ancestors == NIL ? relid : llast_oid(ancestors);
}

// Schemas whose changes are never events: teamscale's own, and what no stream may have.
bool IsInternalSchema(const char* schema) {
  return strcmp(schema, "teamscale_internal") == 0 || strcmp(schema, "teamscale") == 0 ||
         strcmp(schema, "information_schema") == 0 || strncmp(schema, "pg_", 3) == 0;
}

RowValues MakeRow(int natts) {
  return {.values = static_cast<Datum*>(palloc(sizeof(Datum) * (natts + 1))),
          .nulls = static_cast<bool*>(palloc(natts + 1))};
}

Bitmapset* KeyColumns(Relation relation) {
  bool full = relation->rd_rel->relreplident == REPLICA_IDENTITY_FULL;
  return RelationGetIndexAttrBitmap(
      relation, full ? INDEX_ATTR_BITMAP_PRIMARY_KEY : INDEX_ATTR_BITMAP_IDENTITY_KEY);
}

bool SelectionHas(const StreamOptions* options, const RelationPlan* plan, const char* column) {
  return EnterFromPostgres(
      [&] { return options->selection->HasColumn(plan->schema, plan->table, column); });
}

// The attribute of that name in the leaf, whose columns may be in another order than the root's.
int AttributeOf(TupleDesc descriptor, const char* name) {
  for (int i = 0; i < descriptor->natts; ++i) {
    Form_pg_attribute attribute = TupleDescAttr(descriptor, i);
    if (!attribute->attisdropped && strcmp(NameStr(attribute->attname), name) == 0) return i;
  }
  return -1;
}

void PlanColumns(const StreamOptions* options, Relation relation, TupleDesc order,
                 RelationPlan* plan) {
  TupleDesc descriptor = RelationGetDescr(relation);
  Bitmapset* keys = KeyColumns(relation);
  plan->columns = static_cast<ColumnPlan*>(palloc0(sizeof(ColumnPlan) * (order->natts + 1)));
  int key_count = 0;
  for (int i = 0; i < order->natts; ++i) {
    Form_pg_attribute wanted = TupleDescAttr(order, i);
    if (wanted->attisdropped) continue;
    int index = AttributeOf(descriptor, NameStr(wanted->attname));
    if (index < 0 || !SelectionHas(options, plan, NameStr(wanted->attname))) continue;
    Form_pg_attribute attribute = TupleDescAttr(descriptor, index);
    ColumnPlan* column = &plan->columns[plan->column_count++];
    column->name = pstrdup(NameStr(attribute->attname));
    column->field = {.name = MakeFieldName(column->name),
                     .index = index,
                     .type = MakeTypePlan(attribute->atttypid)};
    column->key = bms_is_member(attribute->attnum - FirstLowInvalidHeapAttributeNumber, keys);
    column->nullable = !attribute->attnotnull;
    if (column->key) ++key_count;
  }
  // An excluded part of the key leaves a key that identifies nothing.
  plan->keyless = key_count == 0 || key_count != bms_num_members(keys);
  if (plan->keyless)
    for (int i = 0; i < plan->column_count; ++i) plan->columns[i].key = false;
}

}  // namespace

void RelationPlans::Init(MemoryContext context, const StreamOptions* options) {
  RegisterCallbacks();
  context_ = AllocSetContextCreate(context, "teamscale relation plans", ALLOCSET_DEFAULT_SIZES);
  options_ = options;
  HASHCTL control = {};
  control.keysize = sizeof(Oid);
  control.entrysize = sizeof(RelationPlan);
  control.hcxt = context_;
  plans_ =
      hash_create("teamscale relation plans", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
  auto* callback = static_cast<MemoryContextCallback*>(
      MemoryContextAlloc(context_, sizeof(MemoryContextCallback)));
  callback->func = [](void* plans) {
    if (live_plans == plans) live_plans = nullptr;
  };
  callback->arg = this;
  MemoryContextRegisterResetCallback(context_, callback);
  live_plans = this;
}

void RelationPlans::Invalidate() {
  HASH_SEQ_STATUS scan;
  hash_seq_init(&scan, plans_);
  while (auto* plan = static_cast<RelationPlan*>(hash_seq_search(&scan))) plan->valid = false;
}

RelationPlan* RelationPlans::Find(Relation relation, bool* built) {
  Oid relid = RelationGetRelid(relation);
  bool found;
  auto* plan = static_cast<RelationPlan*>(hash_search(plans_, &relid, HASH_ENTER, &found));
  *built = !found || !plan->valid;
  if (!*built) return plan;
  MemoryContext old = found ? plan->context : nullptr;
  *plan = {};
  plan->relid = relid;
  if (old) MemoryContextDelete(old);
  plan->context = AllocSetContextCreate(context_, "teamscale relation plan", ALLOCSET_SMALL_SIZES);
  MemoryContext caller = MemoryContextSwitchTo(plan->context);
  // What arrives while it is built makes it stale again. Not valid while an error may still come.
  plan->valid = true;
  PG_TRY();
  { Build(relation, plan); }
  PG_CATCH();
  {
    plan->valid = false;
    PG_RE_THROW();
  }
  PG_END_TRY();
  MemoryContextSwitchTo(caller);
  return plan;
}

void RelationPlans::Build(Relation relation, RelationPlan* plan) {
  plan->root = RootOf(relation, options_->leaf_names);
  plan->is_root = plan->root == plan->relid;
  Relation root = plan->is_root ? relation : RelationIdGetRelation(plan->root);
  if (!RelationIsValid(root))
    elog(ERROR, "could not open the root %u of partition %u", plan->root, plan->relid);
  plan->schema = get_namespace_name(RelationGetNamespace(root));
  plan->table = pstrdup(RelationGetRelationName(root));
  const char* own_schema = get_namespace_name(RelationGetNamespace(relation));
  if (relation->rd_rel->relispartition)
    plan->leaf = psprintf("%s.%s", own_schema, RelationGetRelationName(relation));
  plan->published =
      !IsInternalSchema(plan->schema) && !IsInternalSchema(own_schema) &&
      EnterFromPostgres([&] { return options_->selection->HasTable(plan->schema, plan->table); });
  if (plan->published) {
    PlanColumns(options_, relation, RelationGetDescr(root), plan);
    plan->version = SchemaVersionOf(root);
    std::snprintf(plan->version_text, sizeof(plan->version_text), "%016llx",
                  static_cast<unsigned long long>(plan->version));
    plan->old_row_whole = relation->rd_rel->relreplident == REPLICA_IDENTITY_FULL;
    int natts = RelationGetDescr(relation)->natts;
    plan->old_row = MakeRow(natts);
    plan->new_row = MakeRow(natts);
    plan->filter = MakeRowFilter(*options_, plan->schema, plan->table, relation);
  }
  if (!plan->is_root) RelationClose(root);
}

std::uint64_t SchemaVersionOf(Relation relation) {
  TupleDesc descriptor = RelationGetDescr(relation);
  core::SchemaVersion version;
  version.Add(get_namespace_name(RelationGetNamespace(relation)));
  version.Add(RelationGetRelationName(relation));
  for (int i = 0; i < descriptor->natts; ++i) {
    Form_pg_attribute attribute = TupleDescAttr(descriptor, i);
    if (attribute->attisdropped) continue;
    version.Add(NameStr(attribute->attname));
    version.Add(format_type_extended(attribute->atttypid, attribute->atttypmod,
                                     FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY));
    version.Add(attribute->attnotnull ? "not null" : "");
  }
  return version.value();
}

bool ColumnChanged(const RelationPlan* plan, Relation relation, const ColumnPlan* column) {
  int index = column->field.index;
  bool old_null = plan->old_row.nulls[index];
  bool new_null = plan->new_row.nulls[index];
  if (old_null || new_null) return old_null != new_null;
  Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(relation), index);
  return !datum_image_eq(plan->old_row.values[index], plan->new_row.values[index],
                         attribute->attbyval, attribute->attlen);
}

}  // namespace teamscale

#include "teamscale/postgres/boundary/relation_part.h"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_trigger.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
}

namespace teamscale {

namespace {

// A catalog whose rows belong to a relation: which column says to which, and for a foreign key also
// which relation it references.
struct PartCatalog {
  Oid catalog;
  Oid oid_index;
  AttrNumber oid;
  AttrNumber relation;
  AttrNumber referenced;
};

constexpr PartCatalog kCatalogs[] = {
    {TriggerRelationId, TriggerOidIndexId, Anum_pg_trigger_oid, Anum_pg_trigger_tgrelid, 0},
    {PolicyRelationId, PolicyOidIndexId, Anum_pg_policy_oid, Anum_pg_policy_polrelid, 0},
    {ConstraintRelationId, ConstraintOidIndexId, Anum_pg_constraint_oid,
     Anum_pg_constraint_conrelid, Anum_pg_constraint_confrelid},
    {AttrDefaultRelationId, AttrDefaultOidIndexId, Anum_pg_attrdef_oid, Anum_pg_attrdef_adrelid, 0},
    {RewriteRelationId, RewriteOidIndexId, Anum_pg_rewrite_oid, Anum_pg_rewrite_ev_class, 0},
    {StatisticExtRelationId, StatisticExtOidIndexId, Anum_pg_statistic_ext_oid,
     Anum_pg_statistic_ext_stxrelid, 0},
};
constexpr PartCatalog kIndexes = {IndexRelationId, IndexRelidIndexId, Anum_pg_index_indexrelid,
                                  Anum_pg_index_indrelid, 0};

const PartCatalog* FindCatalog(Oid catalog) {
  if (catalog == RelationRelationId) return &kIndexes;
  for (const PartCatalog& part : kCatalogs)
    if (part.catalog == catalog) return &part;
  return nullptr;
}

Oid ReadOid(HeapTuple tuple, Relation catalog, AttrNumber attribute) {
  if (attribute == 0) return InvalidOid;
  bool is_null;
  Datum value = heap_getattr(tuple, attribute, RelationGetDescr(catalog), &is_null);
  return is_null ? InvalidOid : DatumGetObjectId(value);
}

}  // namespace

bool ChangesDefinition(ObjectAccessType access, const void* argument) {
  switch (access) {
    case OAT_DROP:
    case OAT_POST_CREATE:
    case OAT_TRUNCATE:
      return true;
    case OAT_POST_ALTER:
      return !argument || !static_cast<const ObjectAccessPostAlter*>(argument)->is_internal;
    default:
      return false;
  }
}

bool FindRelationPart(Oid catalog, Oid object, RelationPart* part) {
  *part = {InvalidOid, InvalidOid};
  const PartCatalog* found = FindCatalog(catalog);
  if (!found) return false;
  Relation relation = table_open(found->catalog, AccessShareLock);
  ScanKeyData key;
  ScanKeyInit(&key, found->oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(object));
  SysScanDesc scan = systable_beginscan(relation, found->oid_index, true, SnapshotSelf, 1, &key);
  if (HeapTuple tuple = systable_getnext(scan); HeapTupleIsValid(tuple))
    *part = {ReadOid(tuple, relation, found->relation),
             ReadOid(tuple, relation, found->referenced)};
  systable_endscan(scan);
  table_close(relation, AccessShareLock);
  // The hook names a new default by its table.
  if (catalog == AttrDefaultRelationId && !OidIsValid(part->relation)) part->relation = object;
  return OidIsValid(part->relation) || OidIsValid(part->referenced);
}

}  // namespace teamscale

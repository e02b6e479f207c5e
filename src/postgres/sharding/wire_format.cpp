#include "teamscale/postgres/sharding/hoisting.h"
#include "teamscale/postgres/sharding/wire.h"

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
}

namespace teamscale {

namespace {

[[noreturn]] void RefuseType(Oid type) {
  ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                  errmsg("values of type %s cannot travel between nodes", format_type_be(type)),
                  errhint("Cast the value to a named type, or name its fields.")));
}

// Their value is an OID, which names another object on another node.
bool NamesObject(Oid type) {
  switch (type) {
    case REGPROCOID:
    case REGPROCEDUREOID:
    case REGOPEROID:
    case REGOPERATOROID:
    case REGCLASSOID:
    case REGTYPEOID:
    case REGROLEOID:
    case REGNAMESPACEOID:
    case REGCONFIGOID:
    case REGDICTIONARYOID:
    case REGCOLLATIONOID:
      return true;
    default:
      return false;
  }
}

bool HasBinaryForm(Oid type) {
  HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
  if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for type %u", type);
  auto* form = reinterpret_cast<Form_pg_type>(GETSTRUCT(tuple));
  bool has = OidIsValid(form->typsend) && OidIsValid(form->typreceive);
  ReleaseSysCache(tuple);
  return has;
}

// Within arrays and composites the OID of the part's type travels too.
bool TravelsBinaryAsPart(Oid type) { return IsSameOnEveryNode(type) && TravelsBinary(type); }

bool CompositeTravelsBinary(Oid type) {
  TupleDesc columns = lookup_rowtype_tupdesc(type, -1);
  bool travels = true;
  for (int i = 0; i < columns->natts; ++i) {
    Form_pg_attribute column = TupleDescAttr(columns, i);
    if (!column->attisdropped) travels &= TravelsBinaryAsPart(column->atttypid);
  }
  ReleaseTupleDesc(columns);
  return travels;
}

}  // namespace

bool TravelsBinary(Oid type) {
  if (type == VOIDOID) return true;
  Oid base = getBaseType(type);
  switch (get_typtype(base)) {
    case TYPTYPE_PSEUDO:
      RefuseType(type);
    case TYPTYPE_ENUM:
      return true;
    case TYPTYPE_COMPOSITE:
      return CompositeTravelsBinary(base);
    case TYPTYPE_RANGE:
      return TravelsBinary(get_range_subtype(base));
    case TYPTYPE_MULTIRANGE:
      return TravelsBinary(get_multirange_range(base));
    default:
      break;
  }
  Oid element = get_element_type(base);
  if (OidIsValid(element)) return TravelsBinaryAsPart(element);
  return base != XMLOID && !NamesObject(base) && HasBinaryForm(base);
}

bool CanTravelBinary(TupleDesc columns) {
  for (int i = 0; i < columns->natts; ++i) {
    Form_pg_attribute column = TupleDescAttr(columns, i);
    if (!column->attisdropped && !TravelsBinary(column->atttypid)) return false;
  }
  return true;
}

}  // namespace teamscale

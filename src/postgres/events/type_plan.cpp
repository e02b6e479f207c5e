#include "teamscale/postgres/events/type_plan.h"

extern "C" {
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"
}

namespace teamscale {

namespace {

ValueClass ClassOf(Oid type) {
  switch (type) {
    case BOOLOID:
      return ValueClass::kBoolean;
    case INT2OID:
      return ValueClass::kInt2;
    case INT4OID:
      return ValueClass::kInt4;
    case INT8OID:
      return ValueClass::kInt8;
    case OIDOID:
      return ValueClass::kOid;
    case FLOAT4OID:
      return ValueClass::kFloat4;
    case FLOAT8OID:
      return ValueClass::kFloat8;
    case NUMERICOID:
      return ValueClass::kNumeric;
    case TEXTOID:
    case VARCHAROID:
    case BPCHAROID:
      return ValueClass::kText;
    case NAMEOID:
      return ValueClass::kName;
    case BYTEAOID:
      return ValueClass::kBytea;
    case UUIDOID:
      return ValueClass::kUuid;
    case DATEOID:
      return ValueClass::kDate;
    case TIMEOID:
      return ValueClass::kTime;
    case TIMETZOID:
      return ValueClass::kTimeTz;
    case TIMESTAMPOID:
      return ValueClass::kTimestamp;
    case TIMESTAMPTZOID:
      return ValueClass::kTimestampTz;
    case JSONOID:
      return ValueClass::kJson;
    case JSONBOID:
      return ValueClass::kJsonb;
    default:
      return ValueClass::kOther;
  }
}

void PlanArray(TypePlan* plan, Oid element) {
  plan->value_class = ValueClass::kArray;
  plan->element = static_cast<TypePlan*>(palloc0(sizeof(TypePlan)));
  *plan->element = MakeTypePlan(element);
  get_typlenbyvalalign(element, &plan->element_length, &plan->element_by_value,
                       &plan->element_align);
}

void PlanComposite(TypePlan* plan) {
  plan->value_class = ValueClass::kComposite;
  TupleDesc shared = lookup_rowtype_tupdesc(plan->type, -1);
  plan->descriptor = CreateTupleDescCopy(shared);
  ReleaseTupleDesc(shared);
  plan->fields =
      static_cast<FieldPlan*>(palloc0(sizeof(FieldPlan) * (plan->descriptor->natts + 1)));
  for (int i = 0; i < plan->descriptor->natts; ++i) {
    Form_pg_attribute attribute = TupleDescAttr(plan->descriptor, i);
    if (attribute->attisdropped) continue;
    plan->fields[plan->field_count++] = {.name = MakeFieldName(NameStr(attribute->attname)),
                                         .index = i,
                                         .type = MakeTypePlan(attribute->atttypid)};
  }
}

}  // namespace

std::string_view MakeFieldName(const char* name) {
  std::string_view text(name);
  auto* piece = static_cast<char*>(palloc(core::JsonStringBound(text.size()) + 2));
  piece[0] = ',';
  char* end = core::WriteJsonString(piece + 1, text);
  *end++ = ':';
  return {piece, static_cast<std::size_t>(end - piece)};
}

TypePlan MakeTypePlan(Oid type) {
  TypePlan plan = {};
  plan.declared = type;
  plan.type = getBaseType(type);
  plan.value_class = ClassOf(plan.type);
  Oid output;
  getTypeOutputInfo(plan.type, &output, &plan.varlena);
  fmgr_info_cxt(output, &plan.output, CurrentMemoryContext);
  if (plan.value_class != ValueClass::kOther) return plan;
  // Only true arrays: int2vector and oidvector have a text form of their own.
  Oid element = get_element_type(plan.type);
  if (OidIsValid(element))
    PlanArray(&plan, element);
  else if (get_typtype(plan.type) == TYPTYPE_COMPOSITE)
    PlanComposite(&plan);
  return plan;
}

}  // namespace teamscale

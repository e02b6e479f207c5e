#include "teamscale/core/events/json_text.h"
#include "teamscale/core/events/utf8.h"
#include "teamscale/postgres/events/type_plan.h"

extern "C" {
#include "access/htup_details.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"
}

namespace teamscale {

namespace {

// The bound of a short text is cheaper than counting; a long text's would waste memory.
constexpr std::size_t kShortText = 4096;

constexpr char kNotUtf8[] = "a value is not valid UTF-8";

std::string_view TextOf(Datum value) {
  struct varlena* text = PG_DETOAST_DATUM_PACKED(value);
  return {VARDATA_ANY(text), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(text))};
}

void WriteBytea(EventBuffer* buffer, Datum value) {
  std::string_view bytes = TextOf(value);
  if (char* at = buffer->Reserve(core::JsonBase64Size(bytes.size())))
    buffer->Advance(core::WriteJsonBase64(at, bytes));
}

void WriteNumeric(EventBuffer* buffer, const ValueStyle& style, TypePlan* plan, Datum value) {
  std::string_view text = OutputFunctionCall(&plan->output, value);
  if (char* at = buffer->Reserve(core::JsonNumericBound(text.size())))
    buffer->Advance(core::WriteJsonNumeric(at, text, style.numeric));
}

// With white space around it, as json keeps it.
bool IsJsonNull(std::string_view text) {
  std::size_t begin = text.find_first_not_of(" \t\n\r");
  return begin != std::string_view::npos && text.substr(begin).starts_with("null");
}

bool WriteJsonColumn(EventBuffer* buffer, const ValueStyle& style, Datum value) {
  std::string_view text = TextOf(value);
  core::JsonText kind = core::ExamineJson(text);
  // What json's own input takes is JSON; a deeper nesting than ours is given as a string.
  bool verbatim = kind != core::JsonText::kPortable || IsJsonNull(text);
  if (style.json_as_string || verbatim)
    WriteText(buffer, text);
  else
    buffer->Append(text);
  return verbatim && !style.json_as_string;
}

bool WriteJsonb(EventBuffer* buffer, const ValueStyle& style, Datum value) {
  Jsonb* jsonb = DatumGetJsonbP(value);
  auto size = static_cast<std::size_t>(VARSIZE(jsonb));
  JsonbValue scalar;
  bool is_null = JB_ROOT_IS_SCALAR(jsonb) && JsonbExtractScalar(&jsonb->root, &scalar) &&
                 scalar.type == jbvNull;
  if (style.json_as_string || is_null) {
    StringInfoData text;
    initStringInfo(&text);
    JsonbToCString(&text, &jsonb->root, static_cast<int>(size));
    WriteText(buffer, {text.data, static_cast<std::size_t>(text.len)});
    return !style.json_as_string;
  }
  // The text is seldom much larger than the binary form; whatever it is, the limit holds after.
  if (!buffer->Reserve(size)) return false;
  JsonbToCString(buffer->out(), &jsonb->root, static_cast<int>(size));
  if (buffer->Room() == 0) buffer->Reserve(1);
  return false;
}

bool WriteComposite(EventBuffer* buffer, const ValueStyle& style, TypePlan* plan, Datum value) {
  HeapTupleHeader header = DatumGetHeapTupleHeader(value);
  HeapTupleData tuple = {};
  tuple.t_len = HeapTupleHeaderGetDatumLength(header);
  tuple.t_data = header;
  auto* values = static_cast<Datum*>(palloc(sizeof(Datum) * (plan->descriptor->natts + 1)));
  auto* nulls = static_cast<bool*>(palloc(plan->descriptor->natts + 1));
  heap_deform_tuple(&tuple, plan->descriptor, values, nulls);
  bool verbatim = false;
  buffer->Append('{');
  for (int i = 0; i < plan->field_count; ++i) {
    FieldPlan& field = plan->fields[i];
    buffer->Append(i == 0 ? field.name.substr(1) : field.name);
    if (nulls[field.index])
      buffer->Append("null");
    else if (WriteValue(buffer, style, &field.type, values[field.index]))
      verbatim = true;
  }
  buffer->Append('}');
  return verbatim;
}

struct ArrayWalk {
  EventBuffer* buffer;
  const ValueStyle* style;
  TypePlan* element;
  ArrayType* array;
  Datum* values;
  bool* nulls;
  int next;
  bool verbatim;
};

void WriteDimension(ArrayWalk* walk, int dimension) {
  walk->buffer->Append('[');
  for (int i = 0; i < ARR_DIMS(walk->array)[dimension]; ++i) {
    if (i > 0) walk->buffer->Append(',');
    if (dimension + 1 < ARR_NDIM(walk->array)) {
      WriteDimension(walk, dimension + 1);
      continue;
    }
    int at = walk->next++;
    if (walk->nulls[at])
      walk->buffer->Append("null");
    else if (WriteValue(walk->buffer, *walk->style, walk->element, walk->values[at]))
      walk->verbatim = true;
  }
  walk->buffer->Append(']');
}

bool HasUsualBounds(ArrayType* array) {
  for (int i = 0; i < ARR_NDIM(array); ++i)
    if (ARR_LBOUND(array)[i] != 1) return false;
  return true;
}

bool WriteArray(EventBuffer* buffer, const ValueStyle& style, TypePlan* plan, Datum value) {
  ArrayType* array = DatumGetArrayTypeP(value);
  if (!HasUsualBounds(array)) {
    // JSON's arrays have no lower bounds: PostgreSQL's text has, and is read from a string.
    WriteText(buffer, OutputFunctionCall(&plan->output, PointerGetDatum(array)));
    return false;
  }
  if (ARR_NDIM(array) == 0) {
    buffer->Append("[]");
    return false;
  }
  ArrayWalk walk = {.buffer = buffer,
                    .style = &style,
                    .element = plan->element,
                    .array = array,
                    .values = nullptr,
                    .nulls = nullptr,
                    .next = 0,
                    .verbatim = false};
  int count;
  deconstruct_array(array, ARR_ELEMTYPE(array), plan->element_length, plan->element_by_value,
                    plan->element_align, &walk.values, &walk.nulls, &count);
  WriteDimension(&walk, 0);
  return walk.verbatim;
}

// Classes of a bounded size. Gives the end of what it wrote.
char* WriteScalar(char* at, const ValueStyle& style, ValueClass value_class, Datum value) {
  switch (value_class) {
    case ValueClass::kBoolean:
      return core::WriteJsonBoolean(at, DatumGetBool(value));
    case ValueClass::kInt2:
      return core::WriteJsonInteger(at, DatumGetInt16(value));
    case ValueClass::kInt4:
      return core::WriteJsonInteger(at, DatumGetInt32(value));
    case ValueClass::kInt8:
      return core::WriteJsonInteger(at, DatumGetInt64(value), style.bigint);
    case ValueClass::kOid:
      return core::WriteJsonInteger(at, DatumGetObjectId(value));
    case ValueClass::kFloat4:
      return core::WriteJsonFloat(at, DatumGetFloat4(value));
    case ValueClass::kFloat8:
      return core::WriteJsonFloat(at, DatumGetFloat8(value));
    case ValueClass::kUuid:
      return core::WriteJsonUuid(at, DatumGetUUIDP(value)->data);
    case ValueClass::kDate:
      return core::WriteJsonDate(at, DatumGetDateADT(value));
    case ValueClass::kTime:
      return core::WriteJsonTime(at, DatumGetTimeADT(value));
    case ValueClass::kTimeTz: {
      TimeTzADT* time = DatumGetTimeTzADTP(value);
      return core::WriteJsonTimeWithZone(at, time->time, time->zone);
    }
    case ValueClass::kTimestamp:
      return core::WriteJsonTimestamp(at, DatumGetTimestamp(value));
    case ValueClass::kTimestampTz:
      return core::WriteJsonTimestampWithZone(at, DatumGetTimestampTz(value));
    default:
      pg_unreachable();
  }
}

bool IsScalar(ValueClass value_class) {
  switch (value_class) {
    case ValueClass::kNumeric:
    case ValueClass::kText:
    case ValueClass::kName:
    case ValueClass::kBytea:
    case ValueClass::kJson:
    case ValueClass::kJsonb:
    case ValueClass::kArray:
    case ValueClass::kComposite:
    case ValueClass::kOther:
      return false;
    default:
      return true;
  }
}

constexpr std::size_t kScalarSize = core::kJsonTimeSize;
static_assert(kScalarSize >= core::kJsonUuidSize && kScalarSize >= core::kJsonFloatSize &&
              kScalarSize >= core::kJsonIntegerSize);

}  // namespace

void WriteText(EventBuffer* buffer, std::string_view text) {
  if (!core::IsUtf8(text)) return buffer->Spoil(kNotUtf8);
  std::size_t size = core::JsonStringBound(text.size());
  if (text.size() > kShortText || size > buffer->Room()) size = core::JsonStringSize(text);
  char* at = buffer->Reserve(size);
  if (at) buffer->Advance(core::WriteJsonString(at, text));
}

bool WriteValue(EventBuffer* buffer, const ValueStyle& style, TypePlan* plan, Datum value) {
  switch (plan->value_class) {
    case ValueClass::kText:
      WriteText(buffer, TextOf(value));
      return false;
    case ValueClass::kName:
      WriteText(buffer, NameStr(*DatumGetName(value)));
      return false;
    case ValueClass::kBytea:
      WriteBytea(buffer, value);
      return false;
    case ValueClass::kNumeric:
      WriteNumeric(buffer, style, plan, value);
      return false;
    case ValueClass::kJson:
      return WriteJsonColumn(buffer, style, value);
    case ValueClass::kJsonb:
      return WriteJsonb(buffer, style, value);
    case ValueClass::kArray:
      check_stack_depth();
      return WriteArray(buffer, style, plan, value);
    case ValueClass::kComposite:
      check_stack_depth();
      return WriteComposite(buffer, style, plan, value);
    case ValueClass::kOther: {
      if (plan->varlena) value = PointerGetDatum(PG_DETOAST_DATUM(value));
      WriteText(buffer, OutputFunctionCall(&plan->output, value));
      return false;
    }
    default:
      if (char* at = buffer->Reserve(kScalarSize))
        buffer->Advance(WriteScalar(at, style, plan->value_class, value));
      return false;
  }
}

// Room is made once for the name and a value of bounded size.
bool WriteField(EventBuffer* buffer, const ValueStyle& style, std::string_view name, TypePlan* plan,
                Datum value) {
  if (IsScalar(plan->value_class)) {
    char* at = buffer->Reserve(name.size() + kScalarSize);
    if (!at) return false;
    std::memcpy(at, name.data(), name.size());
    buffer->Advance(WriteScalar(at + name.size(), style, plan->value_class, value));
    return false;
  }
  buffer->Append(name);
  return WriteValue(buffer, style, plan, value);
}

}  // namespace teamscale

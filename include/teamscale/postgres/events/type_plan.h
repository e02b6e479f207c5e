// How values of a type become JSON: found out once per column, not once per value. Plain dialect.
#pragma once

#include "teamscale/core/events/json_writer.h"
#include "teamscale/postgres/boundary/server.h"
#include "teamscale/postgres/events/event_buffer.h"

extern "C" {
#include "access/tupdesc.h"
}

namespace teamscale {

enum class ValueClass : std::uint8_t {
  kBoolean,
  kInt2,
  kInt4,
  kInt8,
  kOid,
  kFloat4,
  kFloat8,
  kNumeric,
  kText,  // text, varchar, bpchar
  kName,
  kBytea,
  kUuid,
  kDate,
  kTime,
  kTimeTz,
  kTimestamp,
  kTimestampTz,
  kJson,
  kJsonb,
  kArray,
  kComposite,
  kOther,  // its output function's text, as a string
};

struct FieldPlan;

struct TypePlan {
  ValueClass value_class;
  Oid type;         // below all domains
  Oid declared;     // as the column has it
  FmgrInfo output;  // kNumeric and kOther
  bool varlena;
  // kArray
  TypePlan* element;
  std::int16_t element_length;
  bool element_by_value;
  char element_align;
  // kComposite
  int field_count;
  FieldPlan* fields;
  TupleDesc descriptor;
};

struct FieldPlan {
  std::string_view name;  // ,"name":  with the name escaped; without the comma for the first
  int index;              // in the row
  TypePlan type;
};

// How a stream wants values.
struct ValueStyle {
  core::NumberForm bigint;
  core::NumberForm numeric;
  bool json_as_string;  // as Debezium has it
};

// Reads the catalog; what the plan refers to is allocated in the current memory context.
TypePlan MakeTypePlan(Oid type);
std::string_view MakeFieldName(const char* name);

// Writes the value. True when it, or a value in it, is JSON that was written as a string: for it
// holds \u0000 or an unpaired surrogate, or is JSON's null, which would pass for SQL's. Values are
// detoasted in the current memory context.
bool WriteValue(EventBuffer* buffer, const ValueStyle& style, TypePlan* plan, Datum value);

// The same behind the field's name.
bool WriteField(EventBuffer* buffer, const ValueStyle& style, std::string_view name, TypePlan* plan,
                Datum value);

// A text as a JSON string; it is checked to be UTF-8.
void WriteText(EventBuffer* buffer, std::string_view text);

}  // namespace teamscale

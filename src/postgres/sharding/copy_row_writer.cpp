#include "teamscale/postgres/sharding/lossless_settings.h"
#include "teamscale/postgres/sharding/text_form.h"
#include "teamscale/postgres/sharding/wire.h"

extern "C" {
#include "libpq/pqformat.h"
#include "port/pg_bswap.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
}

namespace teamscale {

namespace {

// The binary COPY file: this signature, flags and the length of a header extension, both zero; then
// per row the number of its columns and each value with its length; -1 for a number ends it.
constexpr char kSignature[] = "PGCOPY\n\377\r\n";  // with its zero byte
constexpr std::int16_t kEnd = -1;
constexpr std::int32_t kNull = -1;

void AppendNetworkOrder(StringInfo out, std::int16_t value) {
  std::uint16_t bytes = pg_hton16(static_cast<std::uint16_t>(value));
  appendBinaryStringInfo(out, reinterpret_cast<char*>(&bytes), sizeof bytes);
}

void AppendNetworkOrder(StringInfo out, std::int32_t value) {
  std::uint32_t bytes = pg_hton32(static_cast<std::uint32_t>(value));
  appendBinaryStringInfo(out, reinterpret_cast<char*>(&bytes), sizeof bytes);
}

// The letter that stands for the character behind a backslash, 0 for characters that stand for
// themselves.
char EscapeLetter(char c) {
  switch (c) {
    case '\b':
      return 'b';
    case '\f':
      return 'f';
    case '\n':
      return 'n';
    case '\r':
      return 'r';
    case '\t':
      return 't';
    case '\v':
      return 'v';
    case '\\':
      return '\\';
    default:
      return 0;
  }
}

// Server encodings have no ASCII byte within another character.
void AppendEscaped(StringInfo out, const char* text) {
  const char* start = text;
  for (; *text; ++text) {
    char letter = EscapeLetter(*text);
    if (letter == 0) continue;
    appendBinaryStringInfo(out, start, static_cast<int>(text - start));
    appendStringInfoChar(out, '\\');
    appendStringInfoChar(out, letter);
    start = text + 1;
  }
  appendBinaryStringInfo(out, start, static_cast<int>(text - start));
}

}  // namespace

struct CopyRowWriter::Column {
  int attribute;
  FmgrInfo function;  // send or output
};

CopyRowWriter* CopyRowWriter::Make(TupleDesc columns) {
  auto* writer = static_cast<CopyRowWriter*>(palloc0(sizeof(CopyRowWriter)));
  writer->columns_ = static_cast<Column*>(palloc0(sizeof(Column) * Max(columns->natts, 1)));
  writer->row_context_ =
      AllocSetContextCreate(CurrentMemoryContext, "teamscale COPY row", ALLOCSET_DEFAULT_SIZES);
  writer->binary_ = CanTravelBinary(columns);
  for (int i = 0; i < columns->natts; ++i) {
    Form_pg_attribute attribute = TupleDescAttr(columns, i);
    if (attribute->attisdropped || attribute->attgenerated) continue;
    Column* column = &writer->columns_[writer->count_++];
    Oid function;
    bool is_varlena;
    column->attribute = i;
    if (writer->binary_)
      getTypeBinaryOutputInfo(attribute->atttypid, &function, &is_varlena);
    else
      function = TextOutputFunction(attribute->atttypid);
    fmgr_info(function, &column->function);
  }
  return writer;
}

void CopyRowWriter::Begin(StringInfo out) const {
  if (!binary_) return;
  appendBinaryStringInfo(out, kSignature, sizeof kSignature);
  AppendNetworkOrder(out, std::int32_t{0});
  AppendNetworkOrder(out, std::int32_t{0});
}

void CopyRowWriter::End(StringInfo out) const {
  if (binary_) AppendNetworkOrder(out, kEnd);
}

void CopyRowWriter::Append(StringInfo out, const Datum* values, const bool* nulls) {
  MemoryContext caller = MemoryContextSwitchTo(row_context_);
  if (binary_)
    AppendBinary(out, values, nulls);
  else
    AppendText(out, values, nulls);
  MemoryContextSwitchTo(caller);
  MemoryContextReset(row_context_);
}

void CopyRowWriter::AppendBinary(StringInfo out, const Datum* values, const bool* nulls) {
  AppendNetworkOrder(out, static_cast<std::int16_t>(count_));
  for (int i = 0; i < count_; ++i) {
    int attribute = columns_[i].attribute;
    if (nulls[attribute]) {
      AppendNetworkOrder(out, kNull);
      continue;
    }
    bytea* bytes = SendFunctionCall(&columns_[i].function, values[attribute]);
    auto size = static_cast<std::int32_t>(VARSIZE(bytes) - VARHDRSZ);
    AppendNetworkOrder(out, size);
    appendBinaryStringInfo(out, VARDATA(bytes), size);
  }
}

void CopyRowWriter::AppendText(StringInfo out, const Datum* values, const bool* nulls) {
  int settings = EnterLosslessSettings();
  for (int i = 0; i < count_; ++i) {
    int attribute = columns_[i].attribute;
    if (i > 0) appendStringInfoChar(out, '\t');
    if (nulls[attribute])
      appendStringInfoString(out, "\\N");
    else
      AppendEscaped(out, OutputFunctionCall(&columns_[i].function, values[attribute]));
  }
  appendStringInfoChar(out, '\n');
  LeaveLosslessSettings(settings);
}

}  // namespace teamscale

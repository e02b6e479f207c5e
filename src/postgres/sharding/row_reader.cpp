#include "teamscale/postgres/sharding/text_form.h"
#include "teamscale/postgres/sharding/wire.h"

extern "C" {
#include "utils/builtins.h"
#include "utils/lsyscache.h"
}

namespace teamscale {

// How the values of one column are read. A domain's are read as its base type's: the node that they
// come from has checked them.
struct RowReader::Column {
  int attribute;  // index into values and nulls
  bool travels_binary;
  Oid input_parameter;
  FmgrInfo input;
  Oid receive_parameter;
  FmgrInfo receive;
};

RowReader* RowReader::Make(TupleDesc columns) {
  auto* reader = static_cast<RowReader*>(palloc0(sizeof(RowReader)));
  reader->columns_ = static_cast<Column*>(palloc0(sizeof(Column) * Max(columns->natts, 1)));
  reader->attribute_count_ = columns->natts;
  for (int i = 0; i < columns->natts; ++i) {
    Form_pg_attribute attribute = TupleDescAttr(columns, i);
    if (attribute->attisdropped) continue;
    Column* column = &reader->columns_[reader->count_++];
    Oid type = getBaseType(attribute->atttypid);
    column->attribute = i;
    column->travels_binary = TravelsBinary(type);
    fmgr_info(TextInputFunction(type, &column->input_parameter), &column->input);
    if (column->travels_binary) {
      Oid function;
      getTypeBinaryInputInfo(type, &function, &column->receive_parameter);
      fmgr_info(function, &column->receive);
    }
  }
  return reader;
}

Datum RowReader::ReadValue(Column* column, bool binary, char* bytes, int size) {
  if (!binary || !column->travels_binary)
    return InputFunctionCall(&column->input, bytes, column->input_parameter, -1);
  StringInfoData buffer;
  buffer.data = bytes;  // libpq ends every value with a zero byte, as receive functions expect
  buffer.len = size;
  buffer.maxlen = size + 1;
  buffer.cursor = 0;
  Datum value = ReceiveFunctionCall(&column->receive, &buffer, column->receive_parameter, -1);
  if (buffer.cursor != size)
    ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
                    errmsg("a node sent a value of another form than type %s has here",
                           format_type_be(get_func_rettype(column->receive.fn_oid))),
                    errdetail("%d of %d bytes were read.", buffer.cursor, size)));
  return value;
}

void RowReader::Read(const PGresult* result, int row, Datum* values, bool* nulls) {
  if (PQnfields(result) != count_)
    ereport(ERROR,
            (errcode(ERRCODE_PROTOCOL_VIOLATION), errmsg("a node sent a row of another shape"),
             errdetail("%d columns were expected, %d came.", count_, PQnfields(result)),
             errhint("Make sure that the tables are the same on every node.")));
  if (count_ != attribute_count_)
    for (int i = 0; i < attribute_count_; ++i) nulls[i] = true;
  for (int i = 0; i < count_; ++i) {
    Column* column = &columns_[i];
    nulls[column->attribute] = PQgetisnull(result, row, i);
    values[column->attribute] =
        nulls[column->attribute]
            ? Datum{0}
            : ReadValue(column, PQfformat(result, i) == 1, PQgetvalue(result, row, i),
                        PQgetlength(result, row, i));
  }
}

}  // namespace teamscale

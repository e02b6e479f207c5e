// How values travel between nodes: as statement parameters, as rows of a result, as rows of a COPY.
//
// A value travels *binary*, in the form of its type's send function, where that form is the same on
// every node; otherwise as *text*. Arrays and composites carry the OIDs of their parts in binary:
// they are portable only over built-in types. The types that are names of objects (regclass and its
// kin) are never portable. Text is written under settings that lose nothing: ISO dates, PostgreSQL
// intervals, shortest exact floats, hexadecimal bytea. Anonymous records do not travel at all.
#pragma once

#include "teamscale/postgres/boundary/server.h"
#include "teamscale/postgres/cluster/remote.h"

extern "C" {
#include "access/tupdesc.h"
#include "lib/stringinfo.h"
}

namespace teamscale {

// Whether the binary form of the type is the same on every node. Plain; raises 0A000 for types that
// cannot travel at all.
bool TravelsBinary(Oid type);

// Whether all columns do: libpq asks for one format for a whole result. Plain.
bool CanTravelBinary(TupleDesc columns);

// One value as a parameter. Guarded. The type is InvalidOid for types made by users, whose OIDs
// differ between nodes: the text of a TravellingStatement casts such a parameter.
RemoteParameter EncodeParameter(Datum value, bool is_null, Oid type);

// Decodes rows of a result into the columns of a tuple descriptor. Plain and allocated in a memory
// context: it has no destructor. Looks types up once, when it is made.
class RowReader {
 public:
  // The reader lives in the current memory context. Raises.
  static RowReader* Make(TupleDesc columns);

  // Decodes one row; the values are allocated in the current memory context. The result must have
  // as many columns as the descriptor that are not dropped; of each it may be binary or text.
  void Read(const PGresult* result, int row, Datum* values, bool* nulls);

 private:
  struct Column;
  static Datum ReadValue(Column* column, bool binary, char* bytes, int size);

  int attribute_count_;
  int count_;  // of columns that are not dropped
  Column* columns_;
};

// Writes rows in the form that COPY ... FROM STDIN reads: binary when every column travels so, text
// otherwise. Plain and allocated in a memory context.
class CopyRowWriter {
 public:
  // For the columns of the descriptor that are neither dropped nor generated. Raises.
  static CopyRowWriter* Make(TupleDesc columns);

  // The format to name in the COPY command.
  bool binary() const { return binary_; }

  // What begins and ends one node's stream.
  void Begin(StringInfo out) const;
  void End(StringInfo out) const;
  // One row: values and nulls by attribute number - 1, as in a tuple slot.
  void Append(StringInfo out, const Datum* values, const bool* nulls);

 private:
  struct Column;
  void AppendBinary(StringInfo out, const Datum* values, const bool* nulls);
  void AppendText(StringInfo out, const Datum* values, const bool* nulls);

  bool binary_;
  int count_;
  Column* columns_;
  MemoryContext row_context_;
};

}  // namespace teamscale

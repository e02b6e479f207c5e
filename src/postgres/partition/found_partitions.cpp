#include "teamscale/postgres/partition/found_partitions.h"

#include "teamscale/postgres/boundary/extension_owner.h"

extern "C" {
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
}

namespace teamscale {

namespace {

// Pages and rows of a partition that has partitions are those of the leaves below it.
constexpr char kQuery[] =
    "SELECT i.inhparent, c.oid, n.nspname, c.relname, coalesce(s.spcname, d.spcname),"
    "       c.relpartbound::text, c.relkind, i.inhdetachpending,"
    "       EXISTS (SELECT FROM pg_catalog.pg_constraint AS k"
    "               WHERE k.confrelid = c.oid AND k.contype = 'f' AND k.conparentid = 0),"
    "       EXISTS (SELECT FROM pg_catalog.pg_publication_rel AS r WHERE r.prrelid = c.oid),"
    "       l.rows, l.pages * pg_catalog.current_setting('block_size')::float8"
    " FROM pg_catalog.unnest($1) AS p (parent)"
    "      JOIN pg_catalog.pg_inherits AS i ON i.inhparent = p.parent"
    "      JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid"
    "      JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
    "      LEFT JOIN pg_catalog.pg_tablespace AS s ON s.oid = c.reltablespace"
    "      JOIN (SELECT t.spcname FROM pg_catalog.pg_database AS b"
    "            JOIN pg_catalog.pg_tablespace AS t ON t.oid = b.dattablespace"
    "            WHERE b.datname = pg_catalog.current_database()) AS d ON true"
    "      CROSS JOIN LATERAL ("
    "          SELECT greatest(c.reltuples, 0)::float8 AS rows, c.relpages::float8 AS pages"
    "          WHERE c.relkind <> 'p'"
    "          UNION ALL"
    "          SELECT coalesce(sum(greatest(b.reltuples, 0)), 0), coalesce(sum(b.relpages), 0)"
    "          FROM pg_catalog.pg_partition_tree(c.oid) AS t"
    "               JOIN pg_catalog.pg_class AS b ON b.oid = t.relid AND t.isleaf"
    "          HAVING c.relkind = 'p') AS l"
    " ORDER BY 1, 2";

class Row {
 public:
  Row(uint64 row, MemoryContext context) : tuple_(SPI_tuptable->vals[row]), context_(context) {}

  Datum Value(int column) const {
    bool is_null;
    return SPI_getbinval(tuple_, SPI_tuptable->tupdesc, column, &is_null);
  }
  const char* Text(int column) const {
    const char* text = SPI_getvalue(tuple_, SPI_tuptable->tupdesc, column);
    return text ? MemoryContextStrdup(context_, text) : nullptr;
  }

 private:
  HeapTuple tuple_;
  MemoryContext context_;
};

const PartitionBoundSpec* ReadBound(const char* text) {
  return text ? castNode(PartitionBoundSpec, stringToNode(text)) : nullptr;
}

FoundPartition* Read(const Row& row) {
  auto* found = static_cast<FoundPartition*>(palloc(sizeof(FoundPartition)));
  *found = {.parent = DatumGetObjectId(row.Value(1)),
            .id = DatumGetObjectId(row.Value(2)),
            .schema = row.Text(3),
            .name = row.Text(4),
            .tablespace = row.Text(5),
            .bound = ReadBound(row.Text(6)),
            .kind = DatumGetChar(row.Value(7)),
            .detach_pending = DatumGetBool(row.Value(8)),
            .referenced = DatumGetBool(row.Value(9)),
            .published = DatumGetBool(row.Value(10)),
            .rows = DatumGetFloat8(row.Value(11)),
            .bytes = DatumGetFloat8(row.Value(12))};
  return found;
}

}  // namespace

List* FindPartitions(const List* parents) {
  MemoryContext context = CurrentMemoryContext;
  List* found = NIL;
  SPI_connect();
  Oid types[] = {OIDARRAYOID};
  Datum values[] = {OidArray(parents)};
  ExecuteAsExtensionOwner(kQuery, 1, types, values, nullptr);
  MemoryContext spi = MemoryContextSwitchTo(context);
  for (uint64 i = 0; i < SPI_processed; ++i) found = lappend(found, Read(Row(i, context)));
  MemoryContextSwitchTo(spi);
  SPI_finish();
  return found;
}

}  // namespace teamscale

#include "teamscale/postgres/partition/found_partitions.h"

#include "teamscale/postgres/boundary/extension_owner.h"

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

bool ReadBool(const char* text) { return *text == 't'; }

FoundPartition* Read(const char* const* row) {
  auto* found = static_cast<FoundPartition*>(palloc(sizeof(FoundPartition)));
  *found = {.parent = OidOfText(row[0]),
            .id = OidOfText(row[1]),
            .schema = row[2],
            .name = row[3],
            .tablespace = row[4],
            .bound = row[5] ? castNode(PartitionBoundSpec, stringToNode(row[5])) : nullptr,
            .kind = *row[6],
            .detach_pending = ReadBool(row[7]),
            .referenced = ReadBool(row[8]),
            .published = ReadBool(row[9]),
            .rows = strtod(row[10], nullptr),
            .bytes = strtod(row[11], nullptr)};
  return found;
}

}  // namespace

List* FindPartitions(const List* parents) {
  List* found = NIL;
  ListCell* cell;
  foreach (cell, ReadTextRows(kQuery, parents))
    found = lappend(found, Read(static_cast<char**>(lfirst(cell))));
  return found;
}

}  // namespace teamscale

#include "teamscale/postgres/partition/found_rewrites.h"

#include "teamscale/postgres/boundary/extension_owner.h"
#include "teamscale/postgres/partition/found_partitions.h"
#include "teamscale/postgres/partition/rewrite_journal.h"

extern "C" {
#include "utils/builtins.h"
}

namespace teamscale {

namespace {

constexpr char kRewrites[] =
    "SELECT r.rewrite_id, r.operation, c.oid, n.nspname, c.relname, coalesce(r.destination, 0),"
    "       sum(greatest(l.reltuples, 0)),"
    "       sum(l.relpages::float8 * pg_catalog.current_setting('block_size')::float8)"
    " FROM teamscale_internal.rewrite AS r"
    "      JOIN pg_catalog.pg_class AS c ON c.oid = r.relation"
    "      JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
    "      JOIN teamscale_internal.rewrite_source AS s ON s.rewrite_id = r.rewrite_id"
    "      JOIN pg_catalog.pg_class AS l ON l.oid = s.source"
    " WHERE r.relation = ANY ($1) GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1";

constexpr char kSources[] =
    "SELECT s.source FROM teamscale_internal.rewrite AS r"
    "      JOIN teamscale_internal.rewrite_source AS s ON s.rewrite_id = r.rewrite_id"
    " WHERE r.relation = ANY ($1) ORDER BY s.position";

double NumberOf(const char* text) { return strtod(text, nullptr); }

List* SourcesOf(Oid table) {
  List* sources = NIL;
  ListCell* cell;
  foreach (cell, ReadTextRows(kSources, list_make1_oid(table)))
    sources = lappend_oid(sources, OidOfText(*static_cast<char**>(lfirst(cell))));
  return sources;
}

FoundRewrite* Read(char** row) {
  auto* rewrite = static_cast<FoundRewrite*>(palloc0(sizeof(FoundRewrite)));
  rewrite->id = pg_strtoint64(row[0]);
  rewrite->operation = row[1];
  rewrite->table = OidOfText(row[2]);
  rewrite->schema = row[3];
  rewrite->name = row[4];
  rewrite->sources = SourcesOf(rewrite->table);
  if (Oid destination = OidOfText(row[5]); OidIsValid(destination))
    rewrite->targets = FindPartitions(list_make1_oid(destination));
  rewrite->is_running = RewriteWorker(rewrite->id) != 0;
  rewrite->rows = NumberOf(row[6]);
  rewrite->bytes = NumberOf(row[7]);
  return rewrite;
}

}  // namespace

List* FindRewrites(const List* tables) {
  List* found = NIL;
  ListCell* cell;
  foreach (cell, ReadTextRows(kRewrites, tables))
    found = lappend(found, Read(static_cast<char**>(lfirst(cell))));
  return found;
}

}  // namespace teamscale

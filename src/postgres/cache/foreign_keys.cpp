#include "teamscale/postgres/cache/foreign_keys.h"

namespace teamscale {

namespace {
ForeignKeys foreign_keys{};
}

void SetForeignKeys(const ForeignKeys& keys) { foreign_keys = keys; }

const char* ForeignKeyColumn(Oid table) {
  return foreign_keys.column ? foreign_keys.column(table) : nullptr;
}

bool AskForForeignKey(Cache* cache, const NullableDatum* values, Answer* answer) {
  return foreign_keys.ask && foreign_keys.ask(cache, values, answer);
}

void OnRowsHere(Oid table, void (*body)(void*), void* argument) {
  if (ForeignKeyColumn(table))
    foreign_keys.on_rows_here(body, argument);
  else
    body(argument);
}

void OnAllDatabases(Oid table, void (*body)(void*), void* argument, const char* statement) {
  if (foreign_keys.is_for_all && foreign_keys.is_for_all(table))
    foreign_keys.on_all(body, argument, statement);
  else
    body(argument);
}

}  // namespace teamscale

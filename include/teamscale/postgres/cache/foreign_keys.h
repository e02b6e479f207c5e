// Keys whose rows another database holds: what a higher layer, which knows of them, fills in. Plain
// dialect.
#pragma once

#include "teamscale/postgres/cache/answer.h"

namespace teamscale {

struct ForeignKeys {
  // The column that says whose a row of this table is, which every key must have; null when all
  // rows are here.
  const char* (*column)(Oid table);
  // Whether the rows of this key are another database's; then its answer, asked there. Called when
  // the arena has none: entries are only ever made of rows that are here.
  bool (*ask)(Cache* cache, const NullableDatum* values, Answer* answer);
  // Runs body, which reads of the table what is here.
  void (*on_rows_here)(void (*body)(void*), void* argument);
  // Whether a command on a cache of this table is to be carried out on all databases, and not only
  // here because another one asked for it.
  bool (*is_for_all)(Oid table);
  // Runs body here with the right to change the table, and then the statement, as the current user,
  // on all others, in one transaction.
  void (*on_all)(void (*body)(void*), void* argument, const char* statement);
};
void SetForeignKeys(const ForeignKeys& keys);

const char* ForeignKeyColumn(Oid table);
bool AskForForeignKey(Cache* cache, const NullableDatum* values, Answer* answer);

// Runs body, for which the table has the rows that are here.
void OnRowsHere(Oid table, void (*body)(void*), void* argument);

// Runs body here; and the statement, which asks for the same there, wherever else rows of the table
// may be.
void OnAllDatabases(Oid table, void (*body)(void*), void* argument, const char* statement);

}  // namespace teamscale

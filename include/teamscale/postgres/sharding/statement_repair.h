// Makes a rewritten query printable. The rewriter sorts and merges assignments, expands defaults
// and recursive searches; the server's deparser was made for stored rules, which are not rewritten,
// and prints some of that as another statement, silently. Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "nodes/parsenodes.h"
}

namespace teamscale {

// Removes the conditions of row security, at every level: they are applied again where the
// statement runs, and are not printed, so that what they hold must not become parameters.
void ForgetRowSecurity(Query* query);

// Changes the query, at every level, so that its text means what its tree does.
void RepairForDeparse(Query* query);

// The parts of it that deal with assignments (assignment_repair.cpp):

// One entry per element or field that is assigned, in the order in which SET (a, b) = (SELECT ...)
// needs them. Identity values, which the deparser cannot print, are left to the column's default.
List* RepairUpdateTargets(List* targets);
List* RepairInsertTargets(List* targets);
// The place of the value within nested element and field assignments.
Node** AssignedValue(Node** expression);

// With SEARCH and CYCLE (search_repair.cpp): the rewriter expands them into columns of rows without
// type, which cannot be read back, and leaves the clauses, which would be expanded again.
void RestoreSearches(Query* query);

// With names in ORDER BY and DISTINCT ON (sort_key_repair.cpp): an output column's name hides the
// column that is meant.
void RepairSortKeys(Query* query);

// And with the source of an INSERT (insert_source.cpp): afterwards it yields the columns of the
// target list, in its order.
void AlignInsertSource(Query* query);

}  // namespace teamscale

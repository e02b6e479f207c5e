// Storage parameters of tables, checked as CREATE TABLE would check them. Plain dialect.
#include "teamscale/postgres/boundary/sql_function.h"

extern "C" {
#include "access/reloptions.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
}

namespace teamscale {

namespace {

constexpr char kToast[] = "toast";

// name: with the namespace before it, if any.
DefElem* Parameter(char* name, char* value) {
  char* space = nullptr;
  if (char* dot = strchr(name, '.')) {
    *dot = '\0';
    space = name;
    name = dot + 1;
  }
  return makeDefElemExtended(space, name, reinterpret_cast<Node*>(makeString(value)),
                             DEFELEM_UNSPEC, -1);
}

List* Texts(Datum array) {
  Datum* elements;
  int count;
  deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &elements, nullptr,
                    &count);
  List* texts = NIL;
  for (int i = 0; i < count; ++i) texts = lappend(texts, TextDatumGetCString(elements[i]));
  return texts;
}

void Check(List* parameters, const char* space, char kind) {
  const char* const spaces[] = {kToast, nullptr};
  Datum options =
      transformRelOptions(Datum{0}, parameters, space, const_cast<char**>(spaces), false, false);
  heap_reloptions(kind, options, true);
}

}  // namespace

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_check_storage_parameters) {
  using namespace teamscale;
  List* names = Texts(PG_GETARG_DATUM(0));
  List* values = Texts(PG_GETARG_DATUM(1));
  List* parameters = NIL;
  ListCell *name, *value;
  forboth(name, names, value, values) parameters = lappend(
      parameters, Parameter(static_cast<char*>(lfirst(name)), static_cast<char*>(lfirst(value))));
  Check(parameters, nullptr, RELKIND_RELATION);
  Check(parameters, kToast, RELKIND_TOASTVALUE);
  PG_RETURN_VOID();
}

// How a C++ function becomes callable from SQL.
#pragma once

#include "teamscale/postgres/boundary/server.h"

// Defines the SQL-callable function name; the body follows, with fcinfo in scope.
// (PG_FUNCTION_INFO_V1 of PostgreSQL 15 does not export the function itself, and nothing is visible
// by default here.)
#define TEAMSCALE_SQL_FUNCTION(name)        \
  extern "C" {                              \
  PGDLLEXPORT Datum name(PG_FUNCTION_ARGS); \
  PG_FUNCTION_INFO_V1(name);                \
  }                                         \
  Datum name([[maybe_unused]] FunctionCallInfo fcinfo)

// What create_cache() is asked for, checked, and in the form in which the catalog keeps it. Plain
// dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "nodes/bitmapset.h"
#include "nodes/pg_list.h"
}

namespace teamscale {

struct CacheRequest {
  Oid table;
  char* schema;    // of the function
  char* function;  // its name
  List* key;       // of char*, column names
  List* value;
  bool unique;
  char* order_by;      // canonical: columns with their directions; or null
  char* filter;        // canonical: every name is qualified; or null
  Bitmapset* columns;  // attribute numbers of all that the answer depends on
};

// A name such as create_cache() takes it: schema (null when not given) and function.
void SplitCacheName(const char* name, char** schema, char** function);

// Raises what is wrong.
CacheRequest CheckCacheRequest(const char* name, Oid table, const char* key, const char* value,
                               bool unique, const char* order_by, const char* filter);

}  // namespace teamscale

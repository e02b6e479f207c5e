// The current user's right to give a column a value in an INSERT or COPY. Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "access/attnum.h"
}

namespace teamscale {

bool MayInsertColumn(Oid table, AttrNumber column);

}  // namespace teamscale

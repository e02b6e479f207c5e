#include "teamscale/postgres/cache/rename_guard.h"

#include "teamscale/postgres/cache/definition.h"

extern "C" {
#include "catalog/namespace.h"
#include "utils/lsyscache.h"
}

namespace teamscale {

void CheckRename(const RenameStmt* statement) {
  if (statement->renameType != OBJECT_COLUMN || !statement->relation) return;
  Oid relation = RangeVarGetRelid(statement->relation, NoLock, true);
  if (!OidIsValid(relation)) return;
  AttrNumber column = get_attnum(relation, statement->subname);
  Caches all = AllCaches();
  for (int i = 0; i < all.count; ++i) {
    const Cache* cache = all.cache[i];
    if (cache->table != relation || !bms_is_member(column, cache->columns)) continue;
    ereport(ERROR,
            (errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
             errmsg("column \"%s\" cannot be renamed while a cache names it", statement->subname),
             errdetail("It is a column of cache \"%s\".", get_func_name(cache->function)),
             errhint("Drop the cache with teamscale.drop_cache(), and create it anew "
                     "afterwards.")));
  }
}

}  // namespace teamscale

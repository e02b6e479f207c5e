// What belongs to a relation and has a catalog row of its own: indexes, triggers, constraints,
// defaults, policies, rules, extended statistics. Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "catalog/objectaccess.h"
}

namespace teamscale {

struct RelationPart {
  Oid relation;    // that it belongs to
  Oid referenced;  // of a foreign key, the relation that it references
};

// False when the object is no part of a relation. Sees rows that the current command has written,
// too: object access hooks are called before it ends.
bool FindRelationPart(Oid catalog, Oid object, RelationPart* part);

// For object access hooks: whether an object was made, dropped or emptied, or altered by a user.
bool ChangesDefinition(ObjectAccessType access, const void* argument);

}  // namespace teamscale

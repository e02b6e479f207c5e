#include "teamscale/postgres/partition/mirror.h"

extern "C" {
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "nodes/makefuncs.h"
#include "parser/parse_func.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
}

namespace teamscale {

namespace {

constexpr int kArguments = 4;

Oid FindFunction(const char* name) {
  List* names = list_make2(makeString(const_cast<char*>("teamscale_internal")),
                           makeString(const_cast<char*>(name)));
  return LookupFuncName(names, 0, nullptr, false);
}

String* OidArgument(Oid value) { return makeString(psprintf("%u", value)); }

void CreateMirrorTrigger(Oid source, Oid function, int16 events, bool row, const MirrorPair& pair) {
  auto* statement = makeNode(CreateTrigStmt);
  statement->trigname = const_cast<char*>("teamscale_mirror");
  statement->args = list_make4(OidArgument(pair.destination), OidArgument(pair.destination_key),
                               OidArgument(pair.source_key), OidArgument(pair.alone ? 1 : 0));
  statement->row = row;
  statement->timing = TRIGGER_TYPE_AFTER;
  statement->events = events;
  CreateTriggerFiringOn(statement, nullptr, source, InvalidOid, InvalidOid, InvalidOid, function,
                        InvalidOid, nullptr, true, false, TRIGGER_FIRES_ALWAYS);
}

}  // namespace

void InstallMirror(Oid source, const MirrorPair& pair) {
  CreateMirrorTrigger(source, FindFunction("mirror_row"),
                      TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE, true, pair);
  CreateMirrorTrigger(source, FindFunction("mirror_truncate"), TRIGGER_TYPE_TRUNCATE, false, pair);
}

void RemoveMirror(Oid source) {
  Oid functions[] = {FindFunction("mirror_row"), FindFunction("mirror_truncate")};
  Relation relation = table_open(source, AccessShareLock);
  ObjectAddresses* triggers = new_object_addresses();
  bool found = false;
  const TriggerDesc* description = relation->trigdesc;
  for (int i = 0; description && i < description->numtriggers; ++i) {
    const Trigger& trigger = description->triggers[i];
    if (trigger.tgfoid != functions[0] && trigger.tgfoid != functions[1]) continue;
    ObjectAddress address;
    ObjectAddressSet(address, TriggerRelationId, trigger.tgoid);
    add_exact_object_address(&address, triggers);
    found = true;
  }
  table_close(relation, NoLock);
  if (!found) return;
  LockRelationOid(source, AccessExclusiveLock);
  performMultipleDeletions(triggers, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
}

MirrorPair ReadMirrorPair(const Trigger* trigger) {
  if (trigger->tgnargs != kArguments) elog(ERROR, "trigger \"%s\" is no mirror", trigger->tgname);
  Oid values[kArguments];
  for (int i = 0; i < kArguments; ++i)
    values[i] = DatumGetObjectId(DirectFunctionCall1(oidin, CStringGetDatum(trigger->tgargs[i])));
  return {values[0], values[1], values[2], values[3] != 0};
}

}  // namespace teamscale

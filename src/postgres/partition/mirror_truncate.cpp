// What the mirror does when a source is truncated. Plain dialect.
//
// A destination that holds only this source's rows is truncated too. Otherwise those that its
// partition bounds describe are deleted. Both run as the destination's owner, who has no triggers
// there, through the newest snapshot: the transaction's own may not see rows copied since.
#include "teamscale/postgres/boundary/hidden_changes.h"
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/partition/mirror.h"
#include "teamscale/postgres/partition/rewrite_guard.h"
#include "teamscale/postgres/partition/table_owner.h"

extern "C" {
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/snapmgr.h"
}

namespace teamscale {

namespace {

const char* QualifiedName(Oid relation) {
  return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)),
                                    get_rel_name(relation));
}

// The condition that rows of a partition meet; columns are named as they are in the destination.
const char* ConditionOf(Oid partition) {
  Datum condition =
      DirectFunctionCall1(pg_get_partition_constraintdef, ObjectIdGetDatum(partition));
  return TextDatumGetCString(condition);
}

void Run(const char* sql) {
  SPI_connect();
  SPIPlanPtr plan = SPI_prepare(sql, 0, nullptr);
  if (!plan || SPI_execute_snapshot(plan, nullptr, nullptr, GetLatestSnapshot(), InvalidSnapshot,
                                    false, false, 0) < 0)
    elog(ERROR, "could not execute: %s", sql);
  SPI_finish();
}

void MirrorTruncate(const MirrorPair& pair, Oid source) {
  const char* destination = QualifiedName(pair.destination);
  const char* sql = pair.alone
                        ? psprintf("TRUNCATE %s", destination)
                        : psprintf("DELETE FROM %s WHERE %s", destination, ConditionOf(source));
  Oid user;
  int context;
  GetUserIdAndSecContext(&user, &context);
  SetUserIdAndSecContext(TableOwner(pair.destination), context | SECURITY_LOCAL_USERID_CHANGE |
                                                           SECURITY_RESTRICTED_OPERATION |
                                                           SECURITY_NOFORCE_RLS);
  int settings = NewGUCNestLevel();
  set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
                    GUC_ACTION_SAVE, true, 0, false);
  bool hidden = HideChanges(true);
  AsRewrite([=] { Run(sql); });
  HideChanges(hidden);
  AtEOXact_GUC(true, settings);
  SetUserIdAndSecContext(user, context);
}

}  // namespace

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_mirror_truncate) {
  const auto* event = reinterpret_cast<const TriggerData*>(fcinfo->context);
  if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(event->tg_event) ||
      !TRIGGER_FIRED_BY_TRUNCATE(event->tg_event))
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("mirror_truncate() is called by triggers after a TRUNCATE")));
  teamscale::MirrorTruncate(teamscale::ReadMirrorPair(event->tg_trigger),
                            RelationGetRelid(event->tg_relation));
  return PointerGetDatum(nullptr);
}

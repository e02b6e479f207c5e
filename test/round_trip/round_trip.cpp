// A library for tests: every statement on a table is made to travel, and what another node would
// read is planned in its place. Tests run statements with and without it and compare.
#include "reparse.h"
#include "teamscale/postgres/boundary/tree.h"
#include "teamscale/postgres/cluster/map.h"

extern "C" {
#include "access/parallel.h"
#include "access/xact.h"
#include "optimizer/planner.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/resowner.h"

PG_MODULE_MAGIC;
PGDLLEXPORT void _PG_init(void);
}

namespace teamscale {

// The statements under test are on plain tables: there is no cluster.
const core::ShardMap* CurrentShardMap() { return nullptr; }

namespace round_trip {

namespace {

enum Mode { kOff, kStrict, kLenient };

constexpr config_enum_entry kModes[] = {
    {"off", kOff, false},          // statements run as they are
    {"strict", kStrict, false},    // a statement that cannot travel fails
    {"lenient", kLenient, false},  // it is logged, and runs as it is
    {nullptr, 0, false},
};

int mode = kOff;
bool shows_text = false;
bool shows_difference = false;
bool busy = false;
planner_hook_type next_planner = nullptr;

bool IsEverywhere(Oid) { return true; }

bool NamesTable(Node* node, void*) {
  if (!node) return false;
  if (IsA(node, RangeTblEntry))
    return reinterpret_cast<RangeTblEntry*>(node)->rtekind == RTE_RELATION;
  if (IsA(node, Query))
    return WalkQuery<void>(reinterpret_cast<Query*>(node), NamesTable, nullptr,
                           QTW_EXAMINE_RTES_BEFORE);
  return WalkExpression<void>(node, NamesTable, nullptr);
}

Query* Travel(Query* query) {
  TravellingStatement* statement = MakeTravellingStatement(query, IsEverywhere);
  if (shows_text) ereport(NOTICE, errmsg_internal("travels as: %s", statement->sql));
  Query* reparsed = Reparse(statement, query);
  if (shows_difference && !IsSameTree(query, reparsed))
    ereport(NOTICE, errmsg_internal("another tree: %s", statement->sql));
  return reparsed;
}

Query* TravelIfPossible(Query* query, const char* source) {
  MemoryContext context = CurrentMemoryContext;
  ResourceOwner owner = CurrentResourceOwner;
  Query* volatile travelled = query;
  BeginInternalSubTransaction(nullptr);
  MemoryContextSwitchTo(context);
  PG_TRY();
  {
    travelled = Travel(query);
    ReleaseCurrentSubTransaction();
  }
  PG_CATCH();
  {
    MemoryContextSwitchTo(context);
    ErrorData* error = CopyErrorData();
    FlushErrorState();
    RollbackAndReleaseCurrentSubTransaction();
    ereport(LOG, (errmsg_internal("cannot travel: %s: %s", unpack_sql_state(error->sqlerrcode),
                                  error->message),
                  errdetail_internal("%s", source ? source : "")));
  }
  PG_END_TRY();
  MemoryContextSwitchTo(context);
  CurrentResourceOwner = owner;
  return travelled;
}

Query* TravelAsModeSays(Query* query, const char* source) {
  bool applies = mode != kOff && !busy && query->commandType != CMD_UTILITY &&
                 !IsInParallelMode() && NamesTable(reinterpret_cast<Node*>(query), nullptr);
  if (!applies) return query;
  Query* volatile travelled = query;
  busy = true;
  PG_TRY();
  { travelled = mode == kStrict ? Travel(query) : TravelIfPossible(query, source); }
  PG_FINALLY();
  { busy = false; }
  PG_END_TRY();
  return travelled;
}

PlannedStmt* PlanTravelled(Query* query, const char* source, int cursor_options,
                           ParamListInfo parameters) {
  auto* planner = next_planner ? next_planner : standard_planner;
  return planner(TravelAsModeSays(query, source), source, cursor_options, parameters);
}

}  // namespace

}  // namespace round_trip

}  // namespace teamscale

void _PG_init(void) {
  using namespace teamscale::round_trip;
  DefineCustomEnumVariable("round_trip.mode", "What happens to statements on tables.", nullptr,
                           &mode, kOff, kModes, PGC_USERSET, 0, nullptr, nullptr, nullptr);
  DefineCustomBoolVariable("round_trip.show_text", "Shows the text that would travel.", nullptr,
                           &shows_text, false, PGC_USERSET, 0, nullptr, nullptr, nullptr);
  DefineCustomBoolVariable("round_trip.show_difference",
                           "Tells of statements that are read as another tree.", nullptr,
                           &shows_difference, false, PGC_USERSET, 0, nullptr, nullptr, nullptr);
  next_planner = planner_hook;
  planner_hook = PlanTravelled;
}

#include "teamscale/postgres/sharding/own_statements.h"

#include <algorithm>

#include "teamscale/postgres/boundary/acting_role.h"
#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/cluster/node_session.h"
#include "teamscale/postgres/cluster/remote.h"

extern "C" {
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
}

namespace teamscale {

namespace {

constexpr char kActThere[] = "SELECT teamscale_internal.act_for_router($1)";

// As the current user; gives the first column of the first row as text, or null.
char* RunHere(const char* sql) {
  MemoryContext caller = CurrentMemoryContext;
  SPI_connect();
  int status = SPI_execute(sql, false, 0);
  if (status < 0)
    ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
                    errmsg("could not execute on this node: %s", SPI_result_code_string(status)),
                    errdetail("The statement is: %s", sql)));
  char* answer = nullptr;
  if (SPI_tuptable && SPI_processed > 0) {
    answer = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
    if (answer) answer = MemoryContextStrdup(caller, answer);
  }
  SPI_finish();
  return answer;
}

void DefineHereAs(Oid role, const char* sql) {
  AsRole(role, [sql] { WithOwnDdl([sql] { RunHere(sql); }); });
}

// --- On several nodes ----------------------------------------------------------------------------

struct Nodes {
  bool local;
  List* others;  // ids
};

Nodes SplitNodes(ArrayType* array) {
  Datum* ids;
  int count;
  deconstruct_array(array, INT4OID, sizeof(int32), true, TYPALIGN_INT, &ids, nullptr, &count);
  core::NodeId here = CurrentShardMap()->local_node();
  Nodes nodes{};
  for (int i = 0; i < count; ++i) {
    int id = DatumGetInt32(ids[i]);
    if (id == here)
      nodes.local = true;
    else
      nodes.others = lappend_int(nodes.others, id);
  }
  return nodes;
}

List* Statements(ArrayType* array) {
  Datum* texts;
  int count;
  deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &texts, nullptr, &count);
  List* statements = NIL;
  for (int i = 0; i < count; ++i) statements = lappend(statements, TextDatumGetCString(texts[i]));
  return statements;
}

std::vector<core::NodeId> Ids(List* list) {
  std::vector<core::NodeId> ids;
  for (int i = 0; i < list_length(list); ++i) ids.push_back(list_nth_int(list, i));
  return ids;
}

// As the acting role: so are the connections.
void SendToOthers(const Nodes& nodes, const char* sql) {
  if (nodes.others == NIL) return;
  AsRole(ActingRole(),
         [&] { EnterFromPostgres([&] { ExecuteOnNodes(Ids(nodes.others), {.sql = sql}); }); });
}

// Takes the one text that each node answers with.
class AnswerSink : public RowSink {
 public:
  AnswerSink(List* nodes, char** answers) : nodes_(nodes), answers_(answers) {}
  void Row(core::NodeId node, const PGresult* result, int row) override {
    if (PQgetisnull(result, row, 0)) return;
    CallPostgres([&] {
      for (int i = 0; i < list_length(nodes_); ++i)
        if (list_nth_int(nodes_, i) == node) answers_[i] = pstrdup(PQgetvalue(result, row, 0));
    });
  }

 private:
  List* nodes_;
  char** answers_;
};

// Our own statement on the other nodes, as the extension's owner there; answers, when given, gets
// one text or null of each.
void ActOnOthers(const Nodes& nodes, const char* sql, Effect effect, char** answers) {
  if (nodes.others == NIL) return;
  AsRole(ActingRole(), [&] {
    EnterFromPostgres([&] {
      RemoteStatement statement{
          .sql = kActThere, .parameters = {{.type = TEXTOID, .value = sql}}, .effect = effect};
      AnswerSink sink(nodes.others, answers);
      ExecuteOnNodes(Ids(nodes.others), statement, answers ? &sink : nullptr);
    });
  });
}

ArrayType* TextArray(char** texts, int count) {
  auto* values = static_cast<Datum*>(palloc0(sizeof(Datum) * (count + 1)));
  auto* nulls = static_cast<bool*>(palloc0(sizeof(bool) * (count + 1)));
  for (int i = 0; i < count; ++i) {
    nulls[i] = texts[i] == nullptr;
    if (texts[i]) values[i] = CStringGetTextDatum(texts[i]);
  }
  int lower = 1;
  return construct_md_array(values, nulls, 1, &count, &lower, TEXTOID, -1, false, TYPALIGN_INT);
}

}  // namespace

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_define_here) {
  using namespace teamscale;
  const char* sql = text_to_cstring(PG_GETARG_TEXT_PP(0));
  DefineHereAs(ActingRole(), sql);
  PG_RETURN_VOID();
}

TEAMSCALE_SQL_FUNCTION(teamscale_define_here_as) {
  using namespace teamscale;
  Oid role = get_role_oid(NameStr(*PG_GETARG_NAME(0)), false);
  const char* sql = text_to_cstring(PG_GETARG_TEXT_PP(1));
  check_is_member_of_role(ActingRole(), role);
  DefineHereAs(role, sql);
  PG_RETURN_VOID();
}

TEAMSCALE_SQL_FUNCTION(teamscale_define_on_nodes) {
  using namespace teamscale;
  Nodes nodes = SplitNodes(PG_GETARG_ARRAYTYPE_P(0));
  ListCell* cell;
  foreach (cell, Statements(PG_GETARG_ARRAYTYPE_P(1))) {
    auto* sql = static_cast<const char*>(lfirst(cell));
    SendToOthers(nodes, sql);
    if (nodes.local) DefineHereAs(ActingRole(), sql);
  }
  PG_RETURN_VOID();
}

TEAMSCALE_SQL_FUNCTION(teamscale_act_on_nodes) {
  using namespace teamscale;
  Nodes nodes = SplitNodes(PG_GETARG_ARRAYTYPE_P(0));
  ListCell* cell;
  foreach (cell, Statements(PG_GETARG_ARRAYTYPE_P(1))) {
    auto* sql = static_cast<const char*>(lfirst(cell));
    ActOnOthers(nodes, sql, Effect::kWrites, nullptr);
    if (nodes.local) RunHere(sql);
  }
  PG_RETURN_VOID();
}

TEAMSCALE_SQL_FUNCTION(teamscale_ask_nodes) {
  using namespace teamscale;
  Nodes nodes = SplitNodes(PG_GETARG_ARRAYTYPE_P(0));
  const char* sql = text_to_cstring(PG_GETARG_TEXT_PP(1));
  int count = list_length(nodes.others);
  auto** answers = static_cast<char**>(palloc0(sizeof(char*) * (count + 1)));
  ActOnOthers(nodes, sql, Effect::kReads, answers);
  if (nodes.local) answers[count++] = RunHere(sql);
  PG_RETURN_ARRAYTYPE_P(TextArray(answers, count));
}

TEAMSCALE_SQL_FUNCTION(teamscale_act_for_router) {
  using namespace teamscale;
  RequireRouterStatement(kActThere);
  const char* sql = text_to_cstring(PG_GETARG_TEXT_PP(0));
  char* answer = nullptr;
  AsExtensionOwner([&] {
    // The caller's path could lead to operators and functions of the caller's own. Queries on the
    // catalogs are not worth compiling.
    int settings = NewGUCNestLevel();
    set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
                      GUC_ACTION_SAVE, true, 0, false);
    set_config_option("jit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
    answer = RunHere(sql);
    AtEOXact_GUC(true, settings);
  });
  if (!answer) PG_RETURN_NULL();
  PG_RETURN_TEXT_P(cstring_to_text(answer));
}

TEAMSCALE_SQL_FUNCTION(teamscale_read_as_actor) {
  using namespace teamscale;
  const char* sql = text_to_cstring(PG_GETARG_TEXT_PP(0));
  Oid types[] = {TEXTARRAYOID};
  Datum values[] = {PG_GETARG_DATUM(1)};
  MemoryContext caller = CurrentMemoryContext;
  ArrayType* result = nullptr;
  AsRole(ActingRole(), [&] {
    SPI_connect();
    int status = SPI_execute_with_args(sql, 1, types, values, nullptr, false, 0);
    if (status != SPI_OK_SELECT || SPI_processed != 1)
      ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not read values"),
                      errdetail("The statement is: %s", sql)));
    bool is_null;
    Datum value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null);
    if (!is_null) {
      MemoryContext spi = MemoryContextSwitchTo(caller);
      result = DatumGetArrayTypePCopy(value);
      MemoryContextSwitchTo(spi);
    }
    SPI_finish();
  });
  if (!result) PG_RETURN_NULL();
  PG_RETURN_ARRAYTYPE_P(result);
}

// Rows of other nodes, for functions that are written in SQL.

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/cluster/remote.h"

extern "C" {
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"
}

namespace teamscale {

namespace {

// Makes rows of the columns' texts.
class TextRows : public RowSink {
 public:
  TextRows(Tuplestorestate* store, AttInMetadata* input) : store_(store), input_(input) {}

  void Row(core::NodeId, const PGresult* result, int row) override {
    CallPostgres([&] {
      int count = input_->tupdesc->natts;
      auto* values = static_cast<char**>(palloc(sizeof(char*) * (count + 1)));
      for (int i = 0; i < count; ++i)
        values[i] = PQgetisnull(result, row, i) ? nullptr : PQgetvalue(result, row, i);
      HeapTuple tuple = BuildTupleFromCStrings(input_, values);
      tuplestore_puttuple(store_, tuple);
      heap_freetuple(tuple);
      pfree(values);
    });
  }

 private:
  Tuplestorestate* store_;
  AttInMetadata* input_;
};

class LastValue : public RowSink {
 public:
  void Row(core::NodeId, const PGresult* result, int row) override {
    present_ = !PQgetisnull(result, row, 0);
    value_ = PQgetvalue(result, row, 0);
  }
  bool present() const { return present_; }
  const std::string& value() const { return value_; }

 private:
  bool present_ = false;
  std::string value_;
};

}  // namespace

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_rows_of_node) {
  using namespace teamscale;
  int node = PG_GETARG_INT32(0);
  const char* sql = text_to_cstring(PG_GETARG_TEXT_PP(1));
  InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
  auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  AttInMetadata* input = TupleDescGetAttInMetadata(result->setDesc);
  Tuplestorestate* store = result->setResult;
  return EnterFromPostgres([=] {
    TextRows rows(store, input);
    ExecuteOnNode(node, {.sql = sql, .effect = Effect::kReads}, &rows);
    return Datum{0};
  });
}

TEAMSCALE_SQL_FUNCTION(teamscale_run_apart) {
  using namespace teamscale;
  int node = PG_GETARG_INT32(0);
  const char* sql = text_to_cstring(PG_GETARG_TEXT_PP(1));
  const char* answer = EnterFromPostgres([=]() -> const char* {
    LastValue value;
    ExecuteOutsideTransaction(node, sql, &value);
    const char* text = value.value().c_str();
    return value.present() ? CallPostgres([text] { return pstrdup(text); }) : nullptr;
  });
  if (!answer) PG_RETURN_NULL();
  PG_RETURN_TEXT_P(cstring_to_text(answer));
}

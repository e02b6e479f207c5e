#include "teamscale/postgres/sharding/cached_keys.h"

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/cache/foreign_keys.h"
#include "teamscale/postgres/cluster/catalog_change.h"
#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/cluster/node_session.h"
#include "teamscale/postgres/cluster/node_state.h"
#include "teamscale/postgres/cluster/remote.h"
#include "teamscale/postgres/sharding/ddl_guard.h"
#include "teamscale/postgres/sharding/definition_digest.h"
#include "teamscale/postgres/sharding/key_router.h"
#include "teamscale/postgres/sharding/wire.h"

extern "C" {
#include "access/parallel.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
}

namespace teamscale {

namespace {

bool IsSharded(Oid table) {
  const core::ShardMap* map = CurrentShardMap();
  return map && map->FindTable(table);
}

const char* Column(Oid table) {
  if (!IsSharded(table)) return nullptr;
  return get_attname(table, KeyAttribute(GetKeyRouter(table)), false);
}

// The bucket of a key that another node owns; null when it is this one's, or nobody's. Whatever the
// scope: what a function gives for a key is the whole answer, in a statement that a router sent for
// another key too (which fails there, as a node's session asks no other node).
const core::Bucket* ForeignBucket(const Cache* cache, const NullableDatum* values) {
  if (IsParallelWorker() || !IsSharded(cache->table)) return nullptr;
  RequireServingNode();
  const KeyRouter* router = GetKeyRouter(cache->table);
  for (int i = 0; i < cache->keys; ++i) {
    if (cache->key[i].attribute != KeyAttribute(router)) continue;
    const core::Bucket* bucket = BucketOfKey(router, values[i].value, false, KeyType(router));
    return bucket && bucket->node != CurrentShardMap()->local_node() ? bucket : nullptr;
  }
  return nullptr;
}

TupleDesc DescribeResult(const Cache* cache) {
  TupleDesc result = CreateTemplateTupleDesc(1);
  TupleDescInitEntry(result, 1, "answer", cache->result_type, -1, 0);
  return result;
}

// What does not travel in binary is sent in its text form.
const char* CallThere(const Cache* cache, bool binary) {
  StringInfoData sql;
  initStringInfo(&sql);
  appendStringInfo(
      &sql, "SELECT %s%s(", binary ? "" : "teamscale.text_form(",
      quote_qualified_identifier(get_namespace_name(get_func_namespace(cache->function)),
                                 get_func_name(cache->function)));
  for (int i = 0; i < cache->keys; ++i)
    appendStringInfo(&sql, "%s$%d::%s", i ? ", " : "", i + 1,
                     format_type_be_qualified(cache->key[i].type));
  appendStringInfo(&sql, ")%s", binary ? "" : ")");
  return sql.data;
}

// Takes the one row of an answer, into the memory context that is current now.
class AnswerSink : public RowSink {
 public:
  AnswerSink(RowReader* reader, Answer* answer)
      : reader_(reader), answer_(answer), context_(CurrentMemoryContext) {}

  void Row(core::NodeId, const PGresult* result, int row) override {
    CallPostgres([&] {
      MemoryContext previous = MemoryContextSwitchTo(context_);
      reader_->Read(result, row, &answer_->value, &answer_->is_null);
      MemoryContextSwitchTo(previous);
    });
  }

 private:
  RowReader* reader_;
  Answer* answer_;
  MemoryContext context_;
};

void AskNode(core::NodeId node, const Cache* cache, const NullableDatum* values, Answer* answer) {
  TupleDesc result = DescribeResult(cache);
  RowReader* reader = RowReader::Make(result);
  const char* sql = CallThere(cache, CanTravelBinary(result));
  *answer = {Datum{0}, true};
  EnterFromPostgres([&] {
    RemoteStatement statement;
    statement.sql = sql;
    for (int i = 0; i < cache->keys; ++i)
      statement.parameters.push_back(EncodeParameter(values[i].value, false, cache->key[i].type));
    statement.effect = Effect::kReads;
    statement.keep_prepared = true;
    statement.binary_result = true;
    AnswerSink sink(reader, answer);
    ExecuteOnNode(node, statement, &sink);
  });
}

bool Ask(Cache* cache, const NullableDatum* values, Answer* answer) {
  const core::Bucket* bucket = ForeignBucket(cache, values);
  if (!bucket) return false;
  AskNode(bucket->node, cache, values, answer);
  return true;
}

void OnRowsOfThisNode(void (*body)(void*), void* argument) {
  LocalStatement previous = EnterLocalStatement(false);
  PG_TRY();
  { body(argument); }
  PG_FINALLY();
  { LeaveLocalStatement(previous); }
  PG_END_TRY();
}

bool IsForAll(Oid table) { return IsSharded(table); }

void WithRight(void (*body)(void*), void* argument) {
  DdlRight previous = EnterOwnDdl();
  PG_TRY();
  { body(argument); }
  PG_FINALLY();
  { LeaveOwnDdl(previous); }
  PG_END_TRY();
}

void OnAll(void (*body)(void*), void* argument, const char* statement) {
  // What a router asks for is this node's part of it.
  if (InNodeSession() || CurrentScope() == Scope::kLocal) {
    WithRight(body, argument);
    return;
  }
  RequireServingNode();
  LockDefinitions();
  WithRight(body, argument);
  EnterFromPostgres([&] {
    core::NodeId local_node = CallPostgres([] { return CurrentShardMap(); })->local_node();
    std::vector<core::NodeId> nodes = ActiveNodes();
    std::erase(nodes, local_node);
    ExecuteOnNodes(nodes, {.sql = statement});
  });
}

}  // namespace

void InitCachedKeys() { SetForeignKeys({Column, Ask, OnRowsOfThisNode, IsForAll, OnAll}); }

}  // namespace teamscale

#include "teamscale/postgres/partition/action.h"

#include <vector>

#include "teamscale/core/partition/quote.h"
#include "teamscale/postgres/boundary/extension_owner.h"
#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/partition/key_look.h"
#include "teamscale/postgres/partition/lock_attempts.h"
#include "teamscale/postgres/partition/maintenance_record.h"
#include "teamscale/postgres/partition/rewrite_action.h"
#include "teamscale/postgres/partition/rewrite_steps.h"
#include "teamscale/postgres/partition/stored_policy.h"
#include "teamscale/postgres/partition/table_owner.h"
#include "teamscale/postgres/worker/owner_session.h"

extern "C" {
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
}

namespace teamscale {

namespace {

// DETACH ... CONCURRENTLY waits for others without standing in anybody's way, at first; in the end
// it needs the partition for itself.
constexpr const char* kConcurrentDetachTimeout = "5s";

using Statements = std::vector<std::string>;

std::string PartitionByClause(const core::PartitionPolicy& policy) {
  static constexpr const char* kWays[] = {"RANGE", "LIST", "HASH"};
  std::string column = core::QuoteIdentifier(policy.key.column);
  if (policy.key.collation) column += " COLLATE " + core::QuoteName(*policy.key.collation);
  return std::string(" PARTITION BY ") + kWays[static_cast<int>(policy.kind())] + " (" + column +
         ")";
}

// A new leaf is made beside its parent and attached: that takes a weaker lock than CREATE TABLE ...
// PARTITION OF. It is empty, so that attaching looks at no row. What is below a leaf that nobody
// sees yet is made in place.
// with: what comes to leaves alone.
void AppendCreate(const core::NewPartition& partition, const std::string& parent, bool attach,
                  const std::string& with, Statements* statements) {
  std::string name = core::QuoteName(partition.name);
  std::string sql = "CREATE TABLE " + name;
  if (attach)
    sql += " (LIKE " + parent +
           " INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING STORAGE"
           " INCLUDING COMPRESSION)";
  else
    sql += " PARTITION OF " + parent + " " + core::BoundClause(partition.bound);
  sql += partition.below ? PartitionByClause(*partition.below) : with;
  if (!partition.tablespace.empty())
    sql += " TABLESPACE " + core::QuoteIdentifier(partition.tablespace);
  statements->push_back(sql);
  for (const core::NewPartition& part : partition.parts)
    AppendCreate(part, name, false, with, statements);
  if (attach)
    statements->push_back("ALTER TABLE " + parent + " ATTACH PARTITION " + name + " " +
                          core::BoundClause(partition.bound));
}

// Where a superuser or a member of the owner makes it.
void AppendOwner(const core::NewPartition& partition, const std::string& owner,
                 Statements* statements) {
  statements->push_back("ALTER TABLE " + core::QuoteName(partition.name) + " OWNER TO " + owner);
  for (const core::NewPartition& part : partition.parts) AppendOwner(part, owner, statements);
}

// The storage parameters of new leaves, as the policy has them.
std::string WithClause(Oid parent) {
  const char* parameters = CallPostgres([parent] {
    Oid types[] = {REGCLASSOID};
    Datum values[] = {ObjectIdGetDatum(parent)};
    return static_cast<const char*>(
        linitial(ReadStatements("SELECT pg_catalog.string_agg(s, ', ')"
                                " FROM teamscale_internal.partition_storage($1) AS s",
                                1, types, values, nullptr)));
  });
  return parameters ? " WITH (" + std::string(parameters) + ")" : "";
}

// Guarded; within a transaction.
Statements CreateStatements(const core::Action& action) {
  Statements statements;
  std::string with = WithClause(action.parent.id);
  for (const core::NewPartition& partition : action.created)
    AppendCreate(partition, core::QuoteName(action.parent.name), true, with, &statements);
  return statements;
}

std::string Table(const core::Action& action) {
  return (action.is_foreign ? "FOREIGN TABLE " : "TABLE ") + core::QuoteName(action.object.name);
}

// Guarded; within a transaction.
void Execute(const Statements& statements) {
  for (const std::string& statement : statements) {
    const char* sql = statement.c_str();
    CallPostgres([sql] { ExecuteInOwnerTransaction(sql); });
  }
}

// Runs body, guarded, in a short transaction that is repeated while locks are in its way.
template <typename F>
void InShortTransaction(F&& body) {
  CallPostgres([&] { RunWithLockAttempts([&] { EnterFromPostgres(body); }); });
}

// The partitions of an old width are replaced if they are empty still.
void Replace(const core::Action& action) {
  InShortTransaction([&] {
    for (const core::TableRef& old : action.replaced) {
      std::string name = core::QuoteName(old.name);
      Execute({"LOCK TABLE " + name + " IN ACCESS EXCLUSIVE MODE"});
      if (HasRows(old.name))
        throw Error(ERRCODE_OBJECT_IN_USE, "partition " + name + " has got rows meanwhile", "",
                    "It stays as it is; split it with teamscale.split_partition().");
      Execute({"DROP TABLE " + name});
    }
    Execute(CreateStatements(action));
  });
}

void ExecuteAlone(const std::string& command) {
  const char* sql = command.c_str();
  CallPostgres([sql] { ExecuteOwnerCommand(sql, kConcurrentDetachTimeout); });
}

std::string DetachCommand(const core::Action& action, const char* form) {
  return "ALTER TABLE " + core::QuoteName(action.parent.name) + " DETACH PARTITION " +
         core::QuoteName(action.object.name) + form;
}

// What is to be dropped or moved is noted before it is detached: whatever happens in between, a
// later run finds it.
void NoteExpired(Oid table, const core::Action& action, const core::Retention* retention) {
  if (!retention || retention->on_expiry == core::OnExpiry::kDetach) return;
  bool move = retention->on_expiry == core::OnExpiry::kMove;
  const char* schema = move ? retention->schema.c_str() : nullptr;
  Oid partition = action.object.id;
  CallPostgres([=] { RecordExpired(table, partition, move ? "move" : "drop", schema); });
}

void Detach(Oid table, const core::Action& action, const core::Retention* retention) {
  if (!action.concurrently) {
    InShortTransaction([&] {
      NoteExpired(table, action, retention);
      Execute({DetachCommand(action, "")});
    });
    return;
  }
  InShortTransaction([&] { NoteExpired(table, action, retention); });
  ExecuteAlone(DetachCommand(action, " CONCURRENTLY"));
}

// The plan is from before: the table must be the one that was meant, and be detached by now. Plain.
void RequireDetached(Oid table, const char* schema, const char* name) {
  Oid space = get_namespace_oid(schema, true);
  if (get_relname_relid(name, space) != table || get_rel_relispartition(table))
    ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
                    errmsg("table \"%s\" is not the detached partition that had expired", name)));
}

void EndExpired(const core::Action& action, const std::string& statement) {
  InShortTransaction([&] {
    if (!action.is_foreign)  // those cannot be locked
      Execute({"LOCK TABLE " + core::QuoteName(action.object.name) + " IN ACCESS EXCLUSIVE MODE"});
    CallPostgres([&] {
      RequireDetached(action.object.id, action.object.name.schema.c_str(),
                      action.object.name.name.c_str());
    });
    Execute({statement});
    Oid partition = action.object.id;
    CallPostgres([partition] { ForgetExpired(partition); });
  });
}

// The plan goes by what the last VACUUM or ANALYZE saw.
bool IsSmall(Oid partition) {
  std::int64_t bytes = 0;
  InShortTransaction([&] {
    bytes = CallPostgres([partition] {
      return DatumGetInt64(DirectFunctionCall1(pg_table_size, ObjectIdGetDatum(partition)));
    });
  });
  return bytes <= MoveInPlaceLimit();
}

void MoveByRewrite(core::Action action) {
  action.kind = core::ActionKind::kMoveByRewrite;
  PerformRewrite(action);
}

// With its indexes; small, so that copying it under the lock is short.
void MoveInPlace(const core::Action& action) {
  if (!IsSmall(action.object.id)) return MoveByRewrite(action);
  std::string tablespace = core::QuoteIdentifier(action.tablespace);
  Oid partition = action.object.id;
  InShortTransaction([&] {
    Execute(
        {"ALTER TABLE " + core::QuoteName(action.object.name) + " SET TABLESPACE " + tablespace});
    const List* indexes = CallPostgres([partition] {
      return ReadTextRows(
          "SELECT x.indexrelid::regclass::text FROM pg_catalog.pg_index AS x"
          " WHERE x.indrelid = ANY ($1) ORDER BY 1",
          list_make1_oid(partition));
    });
    for (int i = 0; i < list_length(indexes); ++i)
      Execute({"ALTER INDEX " + std::string(*static_cast<char**>(list_nth(indexes, i))) +
               " SET TABLESPACE " + tablespace});
  });
}

void Perform(Oid table, const core::Action& action, const core::Retention* retention) {
  switch (action.kind) {
    case core::ActionKind::kCreate:
      return InShortTransaction([&] { Execute(CreateStatements(action)); });
    case core::ActionKind::kReplace:
      return Replace(action);
    case core::ActionKind::kDetach:
      return Detach(table, action, retention);
    case core::ActionKind::kFinishDetach:
      return ExecuteAlone(DetachCommand(action, " FINALIZE"));
    case core::ActionKind::kDrop:
      return EndExpired(action, "DROP " + Table(action));
    case core::ActionKind::kMoveToSchema:
      return EndExpired(
          action, "ALTER " + Table(action) + " SET SCHEMA " + core::QuoteIdentifier(action.schema));
    case core::ActionKind::kMoveInPlace:
      return MoveInPlace(action);
    default:
      return PerformRewrite(action);
  }
}

}  // namespace

void PerformAction(Oid table, const core::Action& action, const core::Retention* retention) {
  EnterFromPostgres([&] { Perform(table, action, retention); });
}

void CreateNow(const core::Action& action) {
  EnterFromPostgres([&] {
    Statements statements = CreateStatements(action);
    Oid parent = action.parent.id;
    std::string owner = CallPostgres([parent] {
      Oid role = TableOwner(parent);
      return role == GetUserId() ? "" : GetUserNameFromId(role, false);
    });
    if (!owner.empty())
      for (const core::NewPartition& partition : action.created)
        AppendOwner(partition, core::QuoteIdentifier(owner), &statements);
    Execute(statements);
  });
}

}  // namespace teamscale

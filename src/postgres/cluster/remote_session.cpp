#include "teamscale/postgres/cluster/remote_session.h"

#include <utility>

#include <algorithm>
#include <vector>

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/cluster/node_session.h"

extern "C" {
#include "access/xact.h"
}

namespace teamscale {

namespace {

// What one remote backend keeps prepared for us: 10 to 300 kB each.
constexpr std::size_t kMaxPrepared = 256;

RemoteParameter BinaryParameter(Oid type, std::string value) {
  return {.type = type, .is_null = false, .binary = true, .value = std::move(value)};
}

// Plain dialect.
struct Bytes {
  const char* data;
  std::size_t length;
};
Bytes Answer(const char* challenge, int length) {
  auto* copy = static_cast<bytea*>(palloc(VARHDRSZ + length));
  SET_VARSIZE(copy, VARHDRSZ + length);
  memcpy(VARDATA(copy), challenge, length);
  bytea* answer = AnswerNodeChallenge(copy);
  return {VARDATA_ANY(answer), VARSIZE_ANY_EXHDR(answer)};
}

// SQLSTATEs by which a server says that a prepared statement no longer fits its objects.
bool SaysPlanIsStale(const PGresult* result) {
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  constexpr std::string_view kStale[] = {"0A000", "26000", "42703", "42P01", "XX000"};
  return state && std::find(std::begin(kStale), std::end(kStale), state) != std::end(kStale);
}

std::string Savepoint(int level) { return "teamscale_" + std::to_string(level); }

std::string BeginCommand() {
  std::string begin = "BEGIN ISOLATION LEVEL ";
  if (XactIsoLevel == XACT_SERIALIZABLE)
    begin += "SERIALIZABLE";
  else if (XactIsoLevel == XACT_REPEATABLE_READ)
    begin += "REPEATABLE READ";
  else
    begin += "READ COMMITTED";
  begin += XactReadOnly ? " READ ONLY" : " READ WRITE";
  if (XactDeferrable) begin += " DEFERRABLE";
  return begin + ";";
}

}  // namespace

RemoteSession::RemoteSession(const core::Node& node, const std::string& role)
    : node_(node.id),
      conninfo_(node.conninfo),
      connection_(node.conninfo, role, "node \"" + node.name + "\"", node.id) {
  const core::ShardMap* map = CallPostgres([] { return CurrentShardMap(); });
  Prove(map->local_node(), map->epoch());
}

void RemoteSession::Prove(core::NodeId router, std::int64_t epoch) {
  ResultPointer challenge =
      connection_.Execute("SELECT teamscale_internal.node_challenge()", {}, true);
  const char* data = PQgetvalue(challenge.get(), 0, 0);
  int length = PQgetlength(challenge.get(), 0, 0);
  Bytes answer = CallPostgres([=] { return Answer(data, length); });
  constexpr Oid kBytea = 17;
  connection_.Execute("SELECT teamscale_internal.open_node_session($1, " + std::to_string(router) +
                          ", " + std::to_string(epoch) + ")",
                      {BinaryParameter(kBytea, std::string(answer.data, answer.length))}, false);
}

void RemoteSession::LoseOccupant() noexcept {
  if (SessionOccupant* occupant = std::exchange(occupant_, nullptr)) occupant->Lose();
}

RemoteSession::~RemoteSession() { LoseOccupant(); }

void RemoteSession::Join(Effect effect, bool alone) {
  if (SessionOccupant* occupant = std::exchange(occupant_, nullptr)) occupant->Yield();
  SessionSettings wanted = CurrentSessionSettings();
  if (!settings_known_ || wanted != settings_) {
    std::string commands =
        SettingsCommands(settings_known_ ? settings_ : SessionSettings{}, wanted);
    // Until the transaction ends it is open which of the values will stand.
    settings_known_ = false;
    if (!commands.empty()) connection_.Execute(commands);
    settings_ = std::move(wanted);
    settings_known_ = true;
  }
  if (alone && !in_transaction_) return;
  std::string commands;
  if (!in_transaction_) {
    commands = BeginCommand();
    in_transaction_ = true;
    first_in_transaction_ = true;
    savepoint_level_ = 1;
  }
  for (int level = GetCurrentTransactionNestLevel(); savepoint_level_ < level;)
    commands += "SAVEPOINT " + Savepoint(++savepoint_level_) + ";";
  if (!commands.empty()) connection_.Execute(commands);
  if (effect == Effect::kWrites) wrote_ = true;
}

std::string RemoteSession::Prepare(const RemoteStatement& statement) {
  std::string key = statement.sql;
  key += '\0';
  key += settings_["search_path"];
  for (const RemoteParameter& parameter : statement.parameters)
    key.append(1, '\0').append(std::to_string(parameter.type));
  auto known = prepared_.find(key);
  if (known != prepared_.end()) {
    known->second.last_use = ++statements_;
    return known->second.name;
  }
  if (prepared_.size() >= kMaxPrepared) {
    auto oldest = std::min_element(prepared_.begin(), prepared_.end(), [](auto& a, auto& b) {
      return a.second.last_use < b.second.last_use;
    });
    connection_.Execute("DEALLOCATE " + oldest->second.name);
    prepared_.erase(oldest);
  }
  // A name is never used again: after an error it may be taken there or not.
  std::string name = "teamscale_" + std::to_string(++names_);
  std::vector<Oid> types;
  for (const RemoteParameter& parameter : statement.parameters) types.push_back(parameter.type);
  if (!PQsendPrepare(connection_.raw(), name.c_str(), statement.sql.c_str(),
                     static_cast<int>(types.size()), types.data()))
    throw Error(ERRCODE_CONNECTION_FAILURE, "could not send to " + connection_.what());
  ExpectCommand();
  prepared_.emplace(std::move(key), Prepared{name, ++statements_});
  return name;
}

void RemoteSession::Send(const RemoteStatement& statement, bool has_sink) {
  std::vector<const char*> values;
  std::vector<int> lengths, formats;
  std::vector<Oid> types;
  for (const RemoteParameter& parameter : statement.parameters) {
    types.push_back(parameter.type);
    values.push_back(parameter.is_null ? nullptr : parameter.value.c_str());
    lengths.push_back(static_cast<int>(parameter.value.size()));
    formats.push_back(parameter.binary ? 1 : 0);
  }
  int count = static_cast<int>(values.size());
  int format = statement.binary_result ? 1 : 0;
  int sent;
  if (statement.keep_prepared)
    sent = PQsendQueryPrepared(connection_.raw(), Prepare(statement).c_str(), count, values.data(),
                               lengths.data(), formats.data(), format);
  else if (count > 0 || statement.binary_result)
    sent = PQsendQueryParams(connection_.raw(), statement.sql.c_str(), count, types.data(),
                             values.data(), lengths.data(), formats.data(), format);
  else
    sent = PQsendQuery(connection_.raw(), statement.sql.c_str());
  if (!sent) throw Error(ERRCODE_CONNECTION_FAILURE, "could not send to " + connection_.what());
  if (has_sink) PQsetSingleRowMode(connection_.raw());
  connection_.Flush();
}

RemoteOutcome RemoteSession::ReadAnswer(const RemoteStatement& statement, RowSink* sink) {
  bool may_retry = statement.keep_prepared && (first_in_transaction_ || !in_transaction_);
  first_in_transaction_ = false;
  RemoteOutcome outcome;
  ResultPointer failed;
  bool row_seen = false;
  while (ResultPointer result = connection_.NextResult()) {
    switch (PQresultStatus(result.get())) {
      case PGRES_SINGLE_TUPLE:
      case PGRES_TUPLES_OK:
        for (int row = 0; sink && row < PQntuples(result.get()); ++row) {
          row_seen = true;
          sink->Row(node_, result.get(), row);
        }
        [[fallthrough]];
      case PGRES_COMMAND_OK:
      case PGRES_EMPTY_QUERY:
        outcome.tag = PQcmdStatus(result.get());
        if (const char* rows = PQcmdTuples(result.get()); *rows) outcome.rows = std::stoull(rows);
        break;
      case PGRES_COPY_OUT:
      case PGRES_COPY_IN:
      case PGRES_COPY_BOTH:
        // There is no client at the other end of this connection.
        connection_.CancelAndDrain();
        throw Error(ERRCODE_FEATURE_NOT_SUPPORTED,
                    "COPY to or from the client cannot run on " + connection_.what());
      default:
        failed = std::move(result);
    }
  }
  if (!failed) return outcome;
  if (may_retry && !row_seen && SaysPlanIsStale(failed.get())) {
    Retry(statement, sink != nullptr);
    return ReadAnswer(statement, sink);
  }
  connection_.ThrowError(failed.get());
}

// The transaction there holds nothing but this statement, so it can begin anew.
void RemoteSession::Retry(const RemoteStatement& statement, bool has_sink) {
  if (in_transaction_) {
    connection_.Execute("ROLLBACK");
    in_transaction_ = false;
    settings_known_ = false;
  }
  connection_.Execute("DEALLOCATE ALL");
  prepared_.clear();
  Join(statement.effect, statement.alone);
  first_in_transaction_ = false;
  RemoteStatement again = statement;
  again.keep_prepared = false;
  Send(again, has_sink);
}

void RemoteSession::SendCommand(const std::string& sql) {
  if (!PQsendQuery(connection_.raw(), sql.c_str()))
    throw Error(ERRCODE_CONNECTION_FAILURE, "could not send to " + connection_.what());
  connection_.Flush();
}

ResultPointer RemoteSession::ExpectCommand() {
  ResultPointer last, failed;
  while (ResultPointer result = connection_.NextResult()) {
    if (PQresultStatus(result.get()) == PGRES_FATAL_ERROR)
      failed = std::move(result);
    else
      last = std::move(result);
  }
  if (failed) connection_.ThrowError(failed.get());
  return last;
}

void RemoteSession::LeaveTransaction() {
  in_transaction_ = false;
  wrote_ = false;
  first_in_transaction_ = false;
  savepoint_level_ = 0;
  prepared_gid_.clear();
}

void RemoteSession::Abort() noexcept {
  LoseOccupant();
  bool sent_back = false;
  try {
    if (connection_.CancelAndDrain()) {
      if (PQtransactionStatus(connection_.raw()) != PQTRANS_IDLE)
        sent_back = connection_.ExecuteQuietly("ROLLBACK");
      else
        sent_back = true;
      // Best effort: what it misses, the settling of in-doubt transactions finds.
      if (sent_back && !prepared_gid_.empty())
        connection_.ExecuteQuietly("ROLLBACK PREPARED '" + prepared_gid_ + "'");
    }
  } catch (...) {
  }
  if (!sent_back) broken_ = true;
  settings_known_ = false;
  LeaveTransaction();
}

void RemoteSession::AbortSubtransaction(int level) noexcept {
  if (!in_transaction_ || savepoint_level_ < level) return;
  LoseOccupant();
  bool rolled_back = false;
  try {
    std::string name = Savepoint(level);
    rolled_back =
        connection_.CancelAndDrain() &&
        connection_.ExecuteQuietly("ROLLBACK TO SAVEPOINT " + name + "; RELEASE SAVEPOINT " + name);
  } catch (...) {
  }
  if (!rolled_back) broken_ = true;
  savepoint_level_ = level - 1;
  settings_known_ = false;
}

void RemoteSession::CommitSubtransaction(int level) {
  if (!in_transaction_ || savepoint_level_ < level) return;
  connection_.Execute("RELEASE SAVEPOINT " + Savepoint(level));
  savepoint_level_ = level - 1;
}

}  // namespace teamscale

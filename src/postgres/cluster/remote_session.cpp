#include "teamscale/postgres/cluster/remote_session.h"

#include <algorithm>
#include <utility>

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/cluster/constraint_modes.h"
#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/cluster/node_session.h"
#include "teamscale/postgres/cluster/remote_error.h"
#include "teamscale/postgres/cluster/taken_settings.h"

extern "C" {
#include "access/xact.h"
#include "miscadmin.h"
}

namespace teamscale {

namespace {

constexpr Oid kBytea = 17;

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

std::string_view SqlState(const PGresult* result) {
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  return state ? state : "";
}

constexpr std::string_view kUnknownStatement = "26000";

// SQLSTATEs by which a server says that a prepared statement no longer fits its objects.
bool SaysPlanIsStale(const PGresult* result) {
  constexpr std::string_view kStale[] = {"0A000", kUnknownStatement, "42703", "42P01", "XX000"};
  return std::find(std::begin(kStale), std::end(kStale), SqlState(result)) != std::end(kStale);
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
  return begin;
}

// A statement of several commands can only be sent as text.
bool TravelsAsText(const RemoteStatement& statement) {
  return statement.parameters.empty() && !statement.keep_prepared && !statement.binary_result;
}

// The parts of a statement's parameters as libpq takes them.
struct Parameters {
  explicit Parameters(const std::vector<RemoteParameter>& parameters) {
    for (const RemoteParameter& parameter : parameters) {
      types.push_back(parameter.type);
      values.push_back(parameter.is_null ? nullptr : parameter.value.c_str());
      lengths.push_back(static_cast<int>(parameter.value.size()));
      formats.push_back(parameter.binary ? 1 : 0);
    }
  }
  int count() const { return static_cast<int>(values.size()); }

  std::vector<Oid> types;
  std::vector<const char*> values;
  std::vector<int> lengths;
  std::vector<int> formats;
};

}  // namespace

RemoteSession::RemoteSession(const core::Node& node, const std::string& role, bool by_superuser)
    : node_(node.id),
      conninfo_(node.conninfo),
      by_superuser_(by_superuser),
      connection_(node.conninfo, role, "node \"" + node.name + "\"", node.id) {
  const core::ShardMap* map = CallPostgres([] { return CurrentShardMap(); });
  Prove(map->local_node(), map->epoch());
}

RemoteSession::~RemoteSession() { LoseOccupant(); }

void RemoteSession::MakeWay() {
  if (SessionOccupant* occupant = std::exchange(occupant_, nullptr)) occupant->Yield();
}

void RemoteSession::LoseOccupant() noexcept {
  if (SessionOccupant* occupant = std::exchange(occupant_, nullptr)) occupant->Lose();
}

void RemoteSession::Prove(core::NodeId router, std::int64_t epoch) {
  ResultPointer challenge =
      connection_.Execute("SELECT teamscale_internal.node_challenge()", {}, true);
  const char* data = PQgetvalue(challenge.get(), 0, 0);
  int length = PQgetlength(challenge.get(), 0, 0);
  Bytes answer = CallPostgres([=] { return Answer(data, length); });
  connection_.Execute("SELECT teamscale_internal.open_node_session($1, " + std::to_string(router) +
                          ", " + std::to_string(epoch) + ")",
                      {{.type = kBytea,
                        .is_null = false,
                        .binary = true,
                        .value = std::string(answer.data, answer.length)}},
                      false);
}

void RemoteSession::ThrowLost() const {
  ThrowRemoteError({ERRCODE_CONNECTION_FAILURE, "could not send to " + connection_.what(), "",
                    "Roll back and try again."},
                   node_);
}

// --- Building a flight ---------------------------------------------------------------------------

void RemoteSession::BeginFlight() {
  flight_ = Flight{};
  flight_.constraint_modes = constraint_modes_;
  connection_.BeginFlight();
}

void RemoteSession::AddCommand(StepKind kind, const std::string& sql, int level) {
  if (!PQsendQueryParams(connection_.raw(), sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 0))
    ThrowLost();
  flight_.steps.push_back({kind, level});
}

void RemoteSession::AddSync() {
  connection_.Sync();
  flight_.steps.push_back({StepKind::kSync});
}

void RemoteSession::AddSettings() {
  CurrentSettings current = CurrentSessionSettings();
  if (settings_version_ == current.version) return;
  std::string change =
      SettingsChange(settings_, settings_version_ != 0, current.values, by_superuser_);
  flight_.settings = current.values;
  flight_.settings_version = current.version;
  if (change.empty()) {
    settings_ = current.values;
    settings_version_ = current.version;
    return;
  }
  // Until the answer comes it is open which values stand.
  settings_version_ = 0;
  const char* parameter = change.c_str();
  if (!PQsendQueryParams(connection_.raw(), kTakeSettings, 1, nullptr, &parameter, nullptr, nullptr,
                         0))
    ThrowLost();
  flight_.steps.push_back({StepKind::kSettings});
  if (in_transaction_)
    settings_in_transaction_ = true;
  else
    AddSync();
}

void RemoteSession::AddTransaction(Effect effect) {
  if (!in_transaction_) {
    // From here on the session has to be looked after when the transaction ends.
    in_transaction_ = true;
    // What it does belongs to the present subtransaction: its end needs no savepoint here.
    begun_level_ = savepoint_level_ = GetCurrentTransactionNestLevel();
    release_level_ = 0;
    read_only_ = XactReadOnly;
    flight_.begins = true;
    AddCommand(StepKind::kBegin, BeginCommand());
  } else if (XactReadOnly && !read_only_) {
    AddCommand(StepKind::kReadOnly, "SET TRANSACTION READ ONLY");
  }
  if (effect == Effect::kWrites) wrote_ = true;
  int level = GetCurrentTransactionNestLevel();
  if (release_level_ > 0)
    AddCommand(StepKind::kRelease, "RELEASE SAVEPOINT " + Savepoint(release_level_));
  for (int next = savepoint_level_ + 1; next <= level; ++next) {
    AddConstraintModes(next);
    AddCommand(StepKind::kSavepoint, "SAVEPOINT " + Savepoint(next), next);
  }
}

void RemoteSession::AddConstraintModes(int below_level) {
  const std::vector<ConstraintMode>& modes = ConstraintModes();
  int& next = flight_.constraint_modes;
  while (next < static_cast<int>(modes.size()) && modes[next].level < below_level) {
    AddCommand(StepKind::kConstraints, modes[next].command, next + 1);
    ++next;
  }
}

// Settings that change within a transaction follow its savepoint: so an error in them can be rolled
// back to it. What SET CONSTRAINTS fires sees them.
void RemoteSession::AddContext(Effect effect) {
  bool begun = in_transaction_;
  if (!begun) AddSettings();
  AddTransaction(effect);
  if (begun) AddSettings();
  AddConstraintModes(GetCurrentTransactionNestLevel() + 1);
}

std::string RemoteSession::AddPrepare(const RemoteStatement& statement) {
  const SessionSettings& settings = flight_.settings_version ? flight_.settings : settings_;
  flight_.key = PreparedStatements::Key(statement, settings.at("search_path"));
  if (std::optional<std::string> known = prepared_.Use(flight_.key)) {
    flight_.cached_statement = true;
    return *known;
  }
  for (const std::string& name : prepared_.TakeSuperfluous())
    AddCommand(StepKind::kDeallocate, "DEALLOCATE " + name);
  std::string name = prepared_.NewName();
  Parameters parameters(statement.parameters);
  if (!PQsendPrepare(connection_.raw(), name.c_str(), statement.sql.c_str(), parameters.count(),
                     parameters.types.data()))
    ThrowLost();
  flight_.steps.push_back({StepKind::kParse, 0, name});
  return name;
}

void RemoteSession::AddStatement(const RemoteStatement& statement) {
  Parameters parameters(statement.parameters);
  int format = statement.binary_result ? 1 : 0;
  int sent;
  if (statement.keep_prepared)
    sent = PQsendQueryPrepared(connection_.raw(), AddPrepare(statement).c_str(), parameters.count(),
                               parameters.values.data(), parameters.lengths.data(),
                               parameters.formats.data(), format);
  else
    sent = PQsendQueryParams(connection_.raw(), statement.sql.c_str(), parameters.count(),
                             parameters.types.data(), parameters.values.data(),
                             parameters.lengths.data(), parameters.formats.data(), format);
  if (!sent) ThrowLost();
  flight_.steps.push_back({StepKind::kStatement});
}

// --- Following a flight --------------------------------------------------------------------------

void RemoteSession::EnterStep() {
  flight_.current_failed = false;
  // libpq takes the wish for single rows only between two statements.
  if (flight_.current < flight_.steps.size() && flight_.single_rows &&
      flight_.steps[flight_.current].kind == StepKind::kStatement)
    PQsetSingleRowMode(connection_.raw());
}

void RemoteSession::Account(const PGresult* result) {
  if (flight_.current >= flight_.steps.size()) return;
  if (result) {
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_FATAL_ERROR || status == PGRES_PIPELINE_ABORTED)
      flight_.current_failed = true;
    if (status != PGRES_PIPELINE_SYNC) return;
  } else if (!flight_.current_failed) {
    Succeeded(flight_.steps[flight_.current]);
  }
  ++flight_.current;
  EnterStep();
}

void RemoteSession::Succeeded(const Step& step) {
  switch (step.kind) {
    case StepKind::kSettings:
      settings_ = std::move(flight_.settings);
      settings_version_ = flight_.settings_version;
      break;
    case StepKind::kReadOnly:
      read_only_ = true;
      break;
    case StepKind::kRelease:
      release_level_ = 0;
      break;
    case StepKind::kSavepoint:
      savepoint_level_ = step.level;
      break;
    case StepKind::kConstraints:
      constraint_modes_ = step.level;
      break;
    case StepKind::kParse:
      prepared_.Add(flight_.key, step.text);
      break;
    case StepKind::kBegin:
    case StepKind::kDeallocate:
    case StepKind::kStatement:
    case StepKind::kSync:
      break;
  }
}

RemoteOutcome RemoteSession::ReadFlight(RowSink* sink, ResultPointer* failed, bool* row_seen) {
  RemoteOutcome outcome;
  while (flight_.current < flight_.steps.size()) {
    StepKind kind = flight_.steps[flight_.current].kind;
    ResultPointer result = connection_.NextResult();
    Account(result.get());
    if (!result) continue;
    ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_FATAL_ERROR && !*failed)
      *failed = std::move(result);
    else if (kind == StepKind::kStatement)
      TakeRows(result.get(), sink, &outcome, row_seen);
  }
  connection_.EndFlight();
  return outcome;
}

void RemoteSession::FinishFlight() {
  ResultPointer failed;
  bool row_seen = false;
  ReadFlight(nullptr, &failed, &row_seen);
  if (failed) connection_.ThrowError(failed.get());
}

bool RemoteSession::CancelFlight() noexcept {
  return connection_.CancelAndDrain([this](const PGresult* result) { Account(result); });
}

void RemoteSession::TakeRows(const PGresult* result, RowSink* sink, RemoteOutcome* outcome,
                             bool* row_seen) {
  switch (PQresultStatus(result)) {
    case PGRES_SINGLE_TUPLE:
    case PGRES_TUPLES_OK:
      for (int row = 0; row < PQntuples(result); ++row) {
        *row_seen = true;
        if (InterruptPending) CallPostgres([] { CHECK_FOR_INTERRUPTS(); });
        if (sink) sink->Row(node_, result, row);
      }
      [[fallthrough]];
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
      outcome->tag = PQcmdStatus(const_cast<PGresult*>(result));
      if (const char* rows = PQcmdTuples(const_cast<PGresult*>(result)); *rows)
        outcome->rows = std::stoull(rows);
      break;
    case PGRES_COPY_OUT:
    case PGRES_COPY_IN:
    case PGRES_COPY_BOTH:
      // There is no client at the other end of this connection.
      CancelFlight();
      throw Error(ERRCODE_FEATURE_NOT_SUPPORTED,
                  "COPY to or from the client cannot run on " + connection_.what());
    default:
      break;
  }
}

// --- Statements ----------------------------------------------------------------------------------

void RemoteSession::Send(const RemoteStatement& statement, bool has_sink) {
  bool joins = in_transaction_ || !statement.alone;
  if (TravelsAsText(statement)) {
    if (joins)
      Join(statement.effect);
    else
      SendSettings();
    SendCommand(statement.sql);
    if (has_sink) PQsetSingleRowMode(connection_.raw());
    return;
  }
  BeginFlight();
  flight_.single_rows = has_sink;
  flight_.begins = !joins;
  if (joins)
    AddContext(statement.effect);
  else
    AddSettings();
  AddStatement(statement);
  AddSync();
  EnterStep();
  connection_.Flush();
}

RemoteOutcome RemoteSession::ReadAnswer(const RemoteStatement& statement, RowSink* sink) {
  if (TravelsAsText(statement)) return ReadSimpleAnswer(sink);
  ResultPointer failed;
  bool row_seen = false;
  RemoteOutcome outcome = ReadFlight(sink, &failed, &row_seen);
  if (!failed) return outcome;
  bool may_retry = flight_.begins && flight_.cached_statement && !row_seen;
  if (SqlState(failed.get()) == kUnknownStatement)
    prepared_.Clear();
  else if (flight_.cached_statement && SaysPlanIsStale(failed.get()))
    prepared_.Forget(flight_.key);
  if (!may_retry || !SaysPlanIsStale(failed.get())) connection_.ThrowError(failed.get());
  // The transaction there holds nothing but this statement, so it can begin anew; and it is not
  // prepared any more, so this happens once.
  if (in_transaction_) {
    connection_.Execute("ROLLBACK");
    LeaveTransaction();
  }
  Send(statement, sink != nullptr);
  return ReadAnswer(statement, sink);
}

RemoteOutcome RemoteSession::ReadSimpleAnswer(RowSink* sink) {
  RemoteOutcome outcome;
  ResultPointer failed;
  bool row_seen = false;
  while (ResultPointer result = connection_.NextResult()) {
    if (PQresultStatus(result.get()) == PGRES_FATAL_ERROR)
      failed = std::move(result);
    else
      TakeRows(result.get(), sink, &outcome, &row_seen);
  }
  if (failed) connection_.ThrowError(failed.get());
  return outcome;
}

void RemoteSession::Join(Effect effect) {
  BeginFlight();
  AddContext(effect);
  if (flight_.steps.empty()) return connection_.EndFlight();
  AddSync();
  EnterStep();
  FinishFlight();
}

void RemoteSession::SendSettings() {
  BeginFlight();
  AddSettings();
  EnterStep();
  FinishFlight();
}

void RemoteSession::SendCommand(const std::string& sql) {
  flight_ = Flight{};
  if (!PQsendQuery(connection_.raw(), sql.c_str())) ThrowLost();
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

// --- The end of a transaction, and of a part of it -----------------------------------------------

void RemoteSession::LeaveTransaction() {
  in_transaction_ = false;
  wrote_ = false;
  begun_level_ = 0;
  savepoint_level_ = 0;
  constraint_modes_ = 0;
  release_level_ = 0;
  prepared_gid_.clear();
  settings_in_transaction_ = false;
}

void RemoteSession::Abort() noexcept {
  LoseOccupant();
  bool in_order = CancelFlight();
  if (in_order && !connection_.idle()) in_order = connection_.ExecuteQuietly("ROLLBACK");
  try {
    // Best effort: what it misses, the settling of in-doubt transactions finds.
    if (in_order && !prepared_gid_.empty())
      connection_.ExecuteQuietly("ROLLBACK PREPARED '" + prepared_gid_ + "'");
  } catch (...) {
  }
  if (!in_order) broken_ = true;
  if (settings_in_transaction_) settings_version_ = 0;
  LeaveTransaction();
}

void RemoteSession::AbortSubtransaction(int level) noexcept {
  auto used_since = [this, level] {
    return in_transaction_ && std::max(begun_level_, savepoint_level_) >= level;
  };
  // A COPY that an outer level has begun goes on.
  if (occupant_ && !used_since()) return;
  LoseOccupant();
  // Reading on may show that the savepoint is there.
  bool in_order = CancelFlight();
  if (!used_since()) {
    // What failed before its savepoint cannot be revived.
    bool failed = PQtransactionStatus(connection_.raw()) == PQTRANS_INERROR;
    if (!in_order || failed) broken_ = true;
    return;
  }
  // All that was done there belongs to what is rolled back: even a lost connection loses nothing.
  if (begun_level_ >= level) return Abort();
  try {
    std::string name = Savepoint(level);
    in_order = in_order && connection_.ExecuteQuietly("ROLLBACK TO SAVEPOINT " + name +
                                                      "; RELEASE SAVEPOINT " + name);
  } catch (...) {
    in_order = false;
  }
  if (!in_order) broken_ = true;
  savepoint_level_ = level - 1;
  constraint_modes_ = std::min(constraint_modes_, static_cast<int>(ConstraintModes().size()));
  if (release_level_ >= level) release_level_ = 0;
  if (settings_in_transaction_) settings_version_ = 0;
  read_only_ = false;
}

// Travels with the next statement, if there is one.
void RemoteSession::CommitSubtransaction(int level) noexcept {
  if (!in_transaction_) return;
  if (begun_level_ >= level)
    begun_level_ = level - 1;
  else if (savepoint_level_ >= level)
    release_level_ = level;
  savepoint_level_ = std::min(savepoint_level_, level - 1);
}

}  // namespace teamscale

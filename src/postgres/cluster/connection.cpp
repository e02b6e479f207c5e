#include "teamscale/postgres/cluster/connection.h"

#include <poll.h>

#include <array>
#include <utility>

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/cluster/reachability.h"
#include "teamscale/postgres/cluster/remote.h"
#include "teamscale/postgres/cluster/remote_error.h"

extern "C" {
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"
}

namespace teamscale {

namespace {

// How long a cancelled statement may take to end before its connection is given up.
constexpr long kCancelTimeout = 5000;

int connect_timeout = 5000;
int statement_deadline = 0;

// Where in a connection's wait set its socket is.
constexpr int kSocketPosition = 2;

// Waits for the events on the socket, besides the latch. Plain dialect: an interrupt raises from
// here. Without interruptible, what woke the latch is left to whoever waits next.
bool WaitForSocket(WaitEventSet* waits, int events, TimestampTz until, bool interruptible) {
  bool woken = false;
  bool ready = false;
  ModifyWaitEvent(waits, kSocketPosition, events, nullptr);
  while (!ready) {
    long timeout = -1;
    if (until != 0) {
      timeout = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until);
      if (timeout <= 0) break;
    }
    WaitEvent happened[2];
    int count = WaitEventSetWait(waits, timeout, happened, lengthof(happened), PG_WAIT_EXTENSION);
    for (int i = 0; i < count; ++i) {
      if (happened[i].events & WL_LATCH_SET) {
        ResetLatch(MyLatch);
        woken = true;
      } else {
        ready = true;
      }
    }
    if (woken && interruptible) CHECK_FOR_INTERRUPTS();
  }
  if (woken && !interruptible) SetLatch(MyLatch);
  return ready;
}

// The same for a socket that has no wait set yet: while connecting it may change.
bool WaitForNewSocket(pgsocket socket, int events, TimestampTz until) {
  for (;;) {
    long timeout = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until);
    if (timeout <= 0) return false;
    int happened =
        WaitLatchOrSocket(MyLatch, events | WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | WL_TIMEOUT, socket,
                          timeout, PG_WAIT_EXTENSION);
    if (happened & WL_LATCH_SET) {
      ResetLatch(MyLatch);
      CHECK_FOR_INTERRUPTS();
    }
    if (happened & (WL_SOCKET_READABLE | WL_SOCKET_WRITEABLE)) return true;
  }
}

WaitEventSet* NewWaitSet(pgsocket socket) {
  WaitEventSet* waits = CreateWaitEventSet(TopMemoryContext, kSocketPosition + 1);
  AddWaitEventToSet(waits, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, nullptr);
  AddWaitEventToSet(waits, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, nullptr, nullptr);
  int position = AddWaitEventToSet(waits, WL_SOCKET_READABLE, socket, nullptr, nullptr);
  Assert(position == kSocketPosition);
  (void)position;
  return waits;
}

TimestampTz After(long milliseconds) {
  return milliseconds > 0 ? TimestampTzPlusMilliseconds(GetCurrentTimestamp(), milliseconds) : 0;
}

struct FreeCancel {
  void operator()(PGcancel* cancel) const { PQfreeCancel(cancel); }
};

std::string Message(PGconn* connection) {
  std::string text = PQerrorMessage(connection);
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text;
}

// The parts of a connection string, as PQconnectStartParams takes them, with ours.
class Parameters {
 public:
  Parameters(const std::string& conninfo, const std::string& role, const std::string& name,
             const std::string& encoding) {
    PQconninfoOption* options = PQconninfoParse(conninfo.c_str(), nullptr);
    if (!options)
      throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "invalid connection string of a node",
                  "The connection string is '" + conninfo + "'.");
    bool keepalive_given = false;
    bool user_timeout_given = false;
    for (PQconninfoOption* option = options; option->keyword; ++option) {
      if (!option->val) continue;
      Add(option->keyword, option->val);
      if (std::string_view(option->keyword).starts_with("keepalives")) keepalive_given = true;
      if (std::string_view(option->keyword) == "tcp_user_timeout") user_timeout_given = true;
    }
    PQconninfoFree(options);
    Add("user", role);
    Add("fallback_application_name", name);
    Add("client_encoding", encoding);
    // A vanished node is noticed in seconds, not in the two hours that kernels take by default.
    if (!keepalive_given) {
      Add("keepalives_idle", "5");
      Add("keepalives_interval", "3");
      Add("keepalives_count", "3");
    }
    // The same for what was sent and is never acknowledged; it bounds a cancel request too.
    if (!user_timeout_given) Add("tcp_user_timeout", "15000");
    for (const auto& [keyword, value] : given_) {
      keywords_.push_back(keyword.c_str());
      values_.push_back(value.c_str());
    }
    keywords_.push_back(nullptr);
    values_.push_back(nullptr);
  }
  const char* const* keywords() const { return keywords_.data(); }
  const char* const* values() const { return values_.data(); }

 private:
  void Add(std::string keyword, std::string value) {
    given_.emplace_back(std::move(keyword), std::move(value));
  }
  std::vector<std::pair<std::string, std::string>> given_;
  std::vector<const char*> keywords_;
  std::vector<const char*> values_;
};

}  // namespace

void InitConnection() {
  DefineCustomIntVariable(
      "teamscale.connect_timeout", "How long connecting to another node may take.", nullptr,
      &connect_timeout, 5000, 100, 600000, PGC_USERSET, GUC_UNIT_MS, nullptr, nullptr, nullptr);
  DefineCustomIntVariable(
      "teamscale.statement_deadline",
      "How long another node may stay silent while it runs a statement; 0 waits as long as the "
      "connection lives.",
      nullptr, &statement_deadline, 0, 0, INT_MAX, PGC_USERSET, GUC_UNIT_MS, nullptr, nullptr,
      nullptr);
}

Connection::Connection(const std::string& conninfo, const std::string& role, std::string what,
                       core::NodeId node)
    : what_(std::move(what)), node_(node) {
  try {
    Connect(conninfo, role);
  } catch (...) {
    Close();
    throw;
  }
}

Connection::~Connection() { Close(); }

// The two calls into the server give back what is counted and cannot raise.
void Connection::Close() noexcept {
  if (waits_) FreeWaitEventSet(waits_);
  PQfinish(connection_);
  if (counted_) ReleaseExternalFD();
  waits_ = nullptr;
  connection_ = nullptr;
  counted_ = false;
}

void Connection::Connect(const std::string& conninfo, const std::string& role) {
  counted_ = CallPostgres([] { return AcquireExternalFD(); });
  if (!counted_)
    throw Error(ERRCODE_INSUFFICIENT_RESOURCES, "could not connect to " + what_,
                "The server process has too many open files.",
                "Raise max_files_per_process and the kernel's limit.");
  std::string name = "teamscale " + std::to_string(MyProcPid);
  Parameters parameters(conninfo, role, name, GetDatabaseEncodingName());
  TimestampTz until = After(connect_timeout);
  connection_ = PQconnectStartParams(parameters.keywords(), parameters.values(), 0);
  if (!connection_) throw std::bad_alloc();
  PQsetNoticeReceiver(connection_, ForwardNotice, nullptr);
  for (PostgresPollingStatusType status = PGRES_POLLING_WRITING; status != PGRES_POLLING_OK;
       status = PQconnectPoll(connection_)) {
    if (PQstatus(connection_) == CONNECTION_BAD || status == PGRES_POLLING_FAILED)
      ThrowBroken(ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION, "could not connect to ");
    int event = status == PGRES_POLLING_READING ? WL_SOCKET_READABLE : WL_SOCKET_WRITEABLE;
    pgsocket socket = PQsocket(connection_);
    if (!CallPostgres([=] { return WaitForNewSocket(socket, event, until); }))
      ThrowRemoteError(
          {ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION, "could not connect to " + what_,
           "There was no answer within " + std::to_string(connect_timeout) + " ms.",
           "See teamscale.connect_timeout."},
          node_);
  }
  PQsetnonblocking(connection_, 1);
  pgsocket socket = PQsocket(connection_);
  waits_ = CallPostgres([socket] { return NewWaitSet(socket); });
}

bool Connection::StillOpen() {
  pollfd descriptor{.fd = PQsocket(connection_), .events = POLLIN, .revents = 0};
  // Unasked a server says hardly anything but why it hangs up, and then takes its time to do so.
  return usable() && poll(&descriptor, 1, 0) == 0;
}

void Connection::BeginFlight() {
  if (!PQenterPipelineMode(connection_))
    ThrowBroken(ERRCODE_CONNECTION_FAILURE, "could not send to ");
}

void Connection::Sync() {
  if (!PQpipelineSync(connection_)) ThrowBroken(ERRCODE_CONNECTION_FAILURE, "could not send to ");
  ++syncs_;
}

void Connection::EndFlight() {
  if (!PQexitPipelineMode(connection_))
    ThrowBroken(ERRCODE_CONNECTION_FAILURE, "lost the order of results of ");
}

void Connection::ThrowBroken(int sqlstate, const std::string& message) const {
  bool connects = sqlstate == ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION;
  // Whoever connects to what is no node yet knows better what to say.
  const char* hint = !connects ? "Roll back and try again."
                     : node_ == 0
                         ? ""
                         : "Check that it runs and can be reached from here by its connection "
                           "string; teamscale.disable_node() takes a node out until it can.";
  ThrowRemoteError({sqlstate, message + what_, Message(connection_), hint}, node_);
}

void Connection::ThrowSilent() const {
  ThrowRemoteError({ERRCODE_CONNECTION_FAILURE, what_ + " does not answer",
                    "It was silent for " + std::to_string(statement_deadline) + " ms.",
                    "See teamscale.statement_deadline."},
                   node_);
}

bool Connection::Wait(int events) {
  TimestampTz until = After(statement_deadline);
  WaitEventSet* waits = waits_;
  return CallPostgres([=] { return WaitForSocket(waits, events, until, true); });
}

void Connection::Flush() {
  for (;;) {
    int pending = PQflush(connection_);
    if (pending == 0) return;
    if (pending < 0) ThrowBroken(ERRCODE_CONNECTION_FAILURE, "lost the connection to ");
    // The other side may have to send before it reads on.
    if (!Wait(WL_SOCKET_WRITEABLE | WL_SOCKET_READABLE)) ThrowSilent();
    if (!PQconsumeInput(connection_))
      ThrowBroken(ERRCODE_CONNECTION_FAILURE, "lost the connection to ");
  }
}

ResultPointer Connection::NextResult() {
  Flush();
  while (PQisBusy(connection_)) {
    if (!Wait(WL_SOCKET_READABLE)) ThrowSilent();
    if (!PQconsumeInput(connection_))
      ThrowBroken(ERRCODE_CONNECTION_FAILURE, "lost the connection to ");
    EmitForwardedNotices();
  }
  EmitForwardedNotices();
  ResultPointer result(PQgetResult(connection_));
  if (!result && !usable()) ThrowBroken(ERRCODE_CONNECTION_FAILURE, "lost the connection to ");
  if (result && PQresultStatus(result.get()) == PGRES_PIPELINE_SYNC) --syncs_;
  return result;
}

ResultPointer Connection::Execute(const std::string& sql) {
  if (!PQsendQuery(connection_, sql.c_str()))
    ThrowBroken(ERRCODE_CONNECTION_FAILURE, "could not send to ");
  ResultPointer last;
  ResultPointer failed;
  while (ResultPointer result = NextResult()) {
    ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE)
      failed = std::move(result);
    else
      last = std::move(result);
  }
  if (failed) ThrowError(failed.get());
  return last;
}

ResultPointer Connection::Execute(const std::string& sql,
                                  const std::vector<RemoteParameter>& parameters,
                                  bool binary_result) {
  std::vector<Oid> types;
  std::vector<const char*> values;
  std::vector<int> lengths, formats;
  for (const RemoteParameter& parameter : parameters) {
    types.push_back(parameter.type);
    values.push_back(parameter.is_null ? nullptr : parameter.value.c_str());
    lengths.push_back(static_cast<int>(parameter.value.size()));
    formats.push_back(parameter.binary ? 1 : 0);
  }
  if (!PQsendQueryParams(connection_, sql.c_str(), static_cast<int>(parameters.size()),
                         types.data(), values.data(), lengths.data(), formats.data(),
                         binary_result ? 1 : 0))
    ThrowBroken(ERRCODE_CONNECTION_FAILURE, "could not send to ");
  ResultPointer result = NextResult();
  while (ResultPointer rest = NextResult()) {
  }
  if (PQresultStatus(result.get()) == PGRES_FATAL_ERROR) ThrowError(result.get());
  return result;
}

bool Connection::CancelAndDrain(const std::function<void(const PGresult*)>& observe) noexcept {
  try {
    if (!usable()) return false;
    if (!busy()) return true;
    TimestampTz until = After(kCancelTimeout);
    if (!AnswersConnections(PQsocket(connection_), kCancelTimeout)) return false;
    std::unique_ptr<PGcancel, FreeCancel> cancel(PQgetCancel(connection_));
    std::array<char, 256> message{};
    if (!cancel || !PQcancel(cancel.get(), message.data(), message.size())) return false;
    WaitEventSet* waits = waits_;
    while (busy()) {
      for (int unsent; PQisBusy(connection_);) {
        if ((unsent = PQflush(connection_)) < 0) return false;
        int events = unsent > 0 ? WL_SOCKET_READABLE | WL_SOCKET_WRITEABLE : WL_SOCKET_READABLE;
        if (!CallPostgres([=] { return WaitForSocket(waits, events, until, false); }) ||
            !PQconsumeInput(connection_))
          return false;
      }
      ResultPointer result(PQgetResult(connection_));
      if (!usable()) return false;
      if (observe) observe(result.get());
      if (!result) continue;
      ExecStatusType status = PQresultStatus(result.get());
      if (status == PGRES_PIPELINE_SYNC) --syncs_;
      if (status == PGRES_COPY_IN && PQputCopyEnd(connection_, "cancelled by the router") < 0)
        return false;
      if (status == PGRES_COPY_OUT) return false;
    }
    return PQpipelineStatus(connection_) == PQ_PIPELINE_OFF || PQexitPipelineMode(connection_);
  } catch (...) {
    return false;
  }
}

bool Connection::SendQuietly(const std::string& sql) noexcept {
  // What does not fit into the socket now is flushed while the answer is awaited.
  return usable() && PQsendQuery(connection_, sql.c_str()) && PQflush(connection_) >= 0;
}

bool Connection::FinishQuietly(std::string* sqlstate) noexcept {
  try {
    TimestampTz until = After(kCancelTimeout);
    WaitEventSet* waits = waits_;
    bool succeeded = false;
    for (;;) {
      while (PQisBusy(connection_)) {
        int events = WL_SOCKET_READABLE;
        if (PQflush(connection_) > 0) events |= WL_SOCKET_WRITEABLE;
        if (!CallPostgres([=] { return WaitForSocket(waits, events, until, false); }) ||
            !PQconsumeInput(connection_))
          return false;
      }
      ResultPointer result(PQgetResult(connection_));
      if (!result) return succeeded && usable();
      succeeded = PQresultStatus(result.get()) == PGRES_COMMAND_OK;
      const char* state = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
      if (!succeeded && sqlstate && state) *sqlstate = state;
    }
  } catch (...) {
    return false;
  }
}

bool Connection::ExecuteQuietly(const std::string& sql) noexcept {
  return SendQuietly(sql) && FinishQuietly();
}

void Connection::ThrowError(const PGresult* result) const {
  ThrowRemoteError(result, what_, node_);
}

}  // namespace teamscale

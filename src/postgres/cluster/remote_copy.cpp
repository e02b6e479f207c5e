#include <exception>
#include <map>

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/cluster/remote.h"
#include "teamscale/postgres/cluster/remote_transaction.h"

namespace teamscale {

namespace {

// What is gathered for one node before libpq gets it; what libpq has it must pass on before it gets
// more. So memory is bounded by the number of nodes.
constexpr std::size_t kBufferSize = 64 * 1024;

// One node's rows: of one COPY after the other, mostly of one.
class Stream : public SessionOccupant {
 public:
  Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() override {
    if (session_) session_->Vacate();
  }

  bool IsOpen() const { return session_ != nullptr; }

  void Begin(core::NodeId node, const std::string& sql, const std::string& prologue) {
    RemoteSession& session = UseSession(node, Effect::kWrites);
    session.Join(Effect::kWrites);
    session.SendCommand(sql);
    ResultPointer result = session.connection().NextResult();
    if (PQresultStatus(result.get()) != PGRES_COPY_IN) ThrowFailure(session, std::move(result));
    session_ = &session;
    session.Occupy(this);
    buffer_.reserve(kBufferSize);
    buffer_ = prologue;
  }

  void Append(std::string_view rows) {
    buffer_.append(rows);
    if (buffer_.size() >= kBufferSize) Pass();
  }

  // The end of the stream, and the node's answer to it.
  void End() {
    Pass();
    if (PQputCopyEnd(session_->connection().raw(), nullptr) < 0)
      ThrowFailure(*session_, session_->connection().NextResult());
    session_->connection().Flush();
  }
  void TakeAnswer() {
    RemoteSession* session = std::exchange(session_, nullptr);
    session->Vacate();
    ResultPointer result = session->ExpectCommand();
    if (const char* count = PQcmdTuples(result.get()); *count) rows_ += std::stoull(count);
  }

  // What the COPY answers when another statement needs the session is that statement's error; were
  // it caught there, the rows would be missing unnoticed. So it is an error of the COPY too.
  void Yield() override {
    try {
      End();
      TakeAnswer();
    } catch (...) {
      failure_ = std::current_exception();
      throw;
    }
  }

  void Lose() noexcept override {
    session_ = nullptr;
    lost_ = true;
  }

  void CheckFailure() const {
    if (failure_) std::rethrow_exception(failure_);
    if (lost_)
      throw Error(ERRCODE_IN_FAILED_SQL_TRANSACTION,
                  "rows that were copied to another node are lost",
                  "The subtransaction that sent them was rolled back.");
  }

  std::uint64_t rows() const { return rows_; }

 private:
  void Pass() {
    if (buffer_.empty()) return;
    Connection& connection = session_->connection();
    // libpq refuses more once the other side has sent an error instead of taking rows.
    if (PQputCopyData(connection.raw(), buffer_.data(), static_cast<int>(buffer_.size())) < 0)
      ThrowFailure(*session_, connection.NextResult());
    buffer_.clear();
    connection.Flush();
  }

  [[noreturn]] static void ThrowFailure(RemoteSession& session, ResultPointer result) {
    while (result && PQresultStatus(result.get()) != PGRES_FATAL_ERROR)
      result = session.connection().NextResult();
    if (!result)
      throw Error(ERRCODE_CONNECTION_FAILURE,
                  session.connection().what() + " ended a COPY without saying why", "",
                  "Roll back and try again.");
    session.connection().ThrowError(result.get());
  }

  RemoteSession* session_ = nullptr;
  std::string buffer_;
  std::uint64_t rows_ = 0;
  std::exception_ptr failure_;
  bool lost_ = false;
};

}  // namespace

struct RemoteCopy::State {
  std::string sql;
  std::string prologue;
  std::map<core::NodeId, Stream> streams;
};

RemoteCopy::RemoteCopy(std::string sql, std::string prologue)
    : state_(new State{std::move(sql), std::move(prologue), {}}) {}

RemoteCopy::~RemoteCopy() { delete state_; }

bool RemoteCopy::Put(core::NodeId node, std::string_view rows) {
  Stream& stream = state_->streams[node];
  stream.CheckFailure();
  bool first = !stream.IsOpen();
  if (first) stream.Begin(node, state_->sql, state_->prologue);
  stream.Append(rows);
  return first;
}

std::uint64_t RemoteCopy::Finish() {
  for (auto& [node, stream] : state_->streams) {
    stream.CheckFailure();
    if (stream.IsOpen()) stream.End();
  }
  std::uint64_t rows = 0;
  std::exception_ptr first;
  for (auto& [node, stream] : state_->streams) {
    try {
      if (stream.IsOpen()) stream.TakeAnswer();
      rows += stream.rows();
    } catch (...) {
      if (!first) first = std::current_exception();
    }
  }
  state_->streams.clear();
  if (first) std::rethrow_exception(first);
  return rows;
}

}  // namespace teamscale

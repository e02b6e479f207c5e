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

}  // namespace

struct RemoteCopy::State {
  struct Stream {
    RemoteSession* session = nullptr;
    std::string buffer = {};
  };

  std::string sql;
  std::map<core::NodeId, Stream> streams;

  Stream& Begin(core::NodeId node) {
    Stream& stream = streams[node];
    if (stream.session) return stream;
    RemoteSession& session = UseSession(node, Effect::kWrites);
    session.Join(Effect::kWrites, false);
    session.SendCommand(sql);
    ResultPointer result = session.connection().NextResult();
    if (PQresultStatus(result.get()) != PGRES_COPY_IN) ThrowFailure(session, std::move(result));
    stream.session = &session;
    stream.buffer.reserve(kBufferSize);
    return stream;
  }

  void Pass(Stream& stream) {
    if (stream.buffer.empty()) return;
    Connection& connection = stream.session->connection();
    // libpq refuses more once the other side has sent an error instead of taking rows.
    if (PQputCopyData(connection.raw(), stream.buffer.data(),
                      static_cast<int>(stream.buffer.size())) < 0)
      ThrowFailure(*stream.session, connection.NextResult());
    stream.buffer.clear();
    connection.Flush();
  }

  [[noreturn]] static void ThrowFailure(RemoteSession& session, ResultPointer result) {
    while (result && PQresultStatus(result.get()) != PGRES_FATAL_ERROR)
      result = session.connection().NextResult();
    if (!result)
      throw Error(ERRCODE_CONNECTION_FAILURE,
                  session.connection().what() + " ended a COPY without saying why");
    session.connection().ThrowError(result.get());
  }
};

RemoteCopy::RemoteCopy(std::string sql) : state_(new State{std::move(sql), {}}) {}

RemoteCopy::~RemoteCopy() { delete state_; }

void RemoteCopy::Put(core::NodeId node, std::string_view bytes) {
  State::Stream& stream = state_->Begin(node);
  if (stream.buffer.size() + bytes.size() > kBufferSize) state_->Pass(stream);
  stream.buffer.append(bytes);
  if (stream.buffer.size() >= kBufferSize) state_->Pass(stream);
}

std::uint64_t RemoteCopy::Finish() {
  for (auto& [node, stream] : state_->streams) {
    state_->Pass(stream);
    if (PQputCopyEnd(stream.session->connection().raw(), nullptr) < 0)
      State::ThrowFailure(*stream.session, stream.session->connection().NextResult());
    stream.session->connection().Flush();
  }
  std::uint64_t rows = 0;
  std::exception_ptr first;
  for (auto& [node, stream] : state_->streams) {
    try {
      ResultPointer result = stream.session->ExpectCommand();
      if (const char* count = PQcmdTuples(result.get()); *count) rows += std::stoull(count);
    } catch (...) {
      if (!first) first = std::current_exception();
    }
  }
  state_->streams.clear();
  if (first) std::rethrow_exception(first);
  return rows;
}

}  // namespace teamscale

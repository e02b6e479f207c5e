// One libpq connection to another database, driven without blocking: every wait is on the backend's
// latch together with the socket, has a deadline, and can be cancelled. Guarded dialect.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "teamscale/core/sharding/shard_map.h"
#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "libpq-fe.h"
#include "storage/latch.h"
}

namespace teamscale {

struct RemoteParameter;

// Defines teamscale.connect_timeout and teamscale.statement_deadline. Called once by _PG_init.
void InitConnection();

struct FreeResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using ResultPointer = std::unique_ptr<PGresult, FreeResult>;

class Connection {
 public:
  // Connects as the role. what names the other side in errors ("node \"b\""), node is its id or 0.
  // Throws 08001, or whatever interrupts the wait.
  Connection(const std::string& conninfo, const std::string& role, std::string what,
             core::NodeId node = 0);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  PGconn* raw() const { return connection_; }
  const std::string& what() const { return what_; }
  bool usable() const { return PQstatus(connection_) == CONNECTION_OK; }
  // Whether an answer is still to come.
  bool busy() const { return syncs_ > 0 || PQtransactionStatus(connection_) == PQTRANS_ACTIVE; }
  // Neither running a statement nor within a transaction.
  bool idle() const { return !busy() && PQtransactionStatus(connection_) == PQTRANS_IDLE; }
  // Whether the other side has not hung up meanwhile, as far as the kernel knows.
  bool StillOpen();

  // Several commands travel in one flight between BeginFlight and the last result: libpq's pipeline
  // mode. Each Sync ends what fails or succeeds together.
  void BeginFlight();
  void Sync();
  void EndFlight();

  // Sends what libpq has queued. Waits for the other side to take it.
  void Flush();
  // The next result, as PQgetResult gives it (null at the end of a statement's results). Throws
  // 08006 when the connection breaks or nothing comes before the deadline.
  ResultPointer NextResult();
  // Sends one statement by itself and takes its only result; throws the remote's error.
  ResultPointer Execute(const std::string& sql);
  ResultPointer Execute(const std::string& sql, const std::vector<RemoteParameter>& parameters,
                        bool binary_result);

  // Asks the other side to cancel what it runs and reads until it waits for commands; each result,
  // and the null behind it, is shown to observe. False when that takes too long: then the
  // connection is no longer usable. Never throws.
  bool CancelAndDrain(const std::function<void(const PGresult*)>& observe = {}) noexcept;

  // Runs a command while a transaction ends: no interrupts, a short deadline, no error; false when
  // it did not succeed.
  bool ExecuteQuietly(const std::string& sql) noexcept;
  // The same in two halves, so that several connections run theirs at once. The SQLSTATE of a
  // refusal is put into sqlstate (empty when there was no answer).
  bool SendQuietly(const std::string& sql) noexcept;
  bool FinishQuietly(std::string* sqlstate = nullptr) noexcept;

  // Throws result's error with all its fields, and a CONTEXT that names the other side.
  [[noreturn]] void ThrowError(const PGresult* result) const;

 private:
  // Waits for the socket until the deadline of statements; false on time-out.
  bool Wait(int events);
  void Connect(const std::string& conninfo, const std::string& role);
  [[noreturn]] void ThrowBroken(int sqlstate, const std::string& message) const;
  [[noreturn]] void ThrowSilent() const;
  void Close() noexcept;

  PGconn* connection_ = nullptr;
  // The latch and the socket, made once: a wait is one system call.
  WaitEventSet* waits_ = nullptr;
  bool counted_ = false;  // among the descriptors that the server must leave room for
  int syncs_ = 0;         // sent and not answered
  std::string what_;
  core::NodeId node_;
};

}  // namespace teamscale

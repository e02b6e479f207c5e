// A session of this backend on another node: a connection that has proved itself, its prepared
// statements and settings, and its part in the current transaction. Guarded dialect.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "teamscale/postgres/cluster/connection.h"
#include "teamscale/postgres/cluster/remote.h"
#include "teamscale/postgres/cluster/session_settings.h"

namespace teamscale {

// What holds a session between statements: a COPY that rows are still gathered for.
class SessionOccupant {
 public:
  virtual ~SessionOccupant() = default;
  // Another statement needs the session: leaves it ready for that, or throws.
  virtual void Yield() = 0;
  // The session's work is undone, or the session is gone.
  virtual void Lose() noexcept = 0;
};

class RemoteSession {
 public:
  // Connects as the role and proves to be a node's.
  RemoteSession(const core::Node& node, const std::string& role);
  ~RemoteSession();
  RemoteSession(const RemoteSession&) = delete;
  RemoteSession& operator=(const RemoteSession&) = delete;

  core::NodeId node() const { return node_; }
  const std::string& conninfo() const { return conninfo_; }
  Connection& connection() { return connection_; }
  bool usable() const { return !broken_ && connection_.usable(); }
  bool in_transaction() const { return in_transaction_; }
  bool wrote() const { return wrote_; }
  // The gid under which the transaction is, or may be, prepared there.
  const std::string& prepared_gid() const { return prepared_gid_; }

  // Makes the session ready for a statement of the current transaction: settings that changed,
  // BEGIN, and a savepoint for each subtransaction entered since. alone: a read that needs no
  // BEGIN.
  void Join(Effect effect, bool alone);

  // From a statement's begin to Vacate; the next Join makes the occupant yield.
  void Occupy(SessionOccupant* occupant) { occupant_ = occupant; }
  void Vacate() { occupant_ = nullptr; }

  // Sends a statement; ReadAnswer takes its rows and outcome. If the answer's error says that a
  // prepared statement is out of date, and nothing was done yet, it is sent once more.
  void Send(const RemoteStatement& statement, bool has_sink);
  RemoteOutcome ReadAnswer(const RemoteStatement& statement, RowSink* sink);

  // The transaction's end, in the steps of the commit protocol. Send..., then Expect for each.
  void SendCommand(const std::string& sql);
  ResultPointer ExpectCommand();
  void MarkPrepared(std::string gid) { prepared_gid_ = std::move(gid); }
  // The transaction is over there: by a commit, or a prepare.
  void LeaveTransaction();

  // Never throw; a session that cannot be brought in order is broken and goes.
  void Abort() noexcept;
  void AbortSubtransaction(int level) noexcept;
  void CommitSubtransaction(int level);

 private:
  void Prove(core::NodeId router, std::int64_t epoch);
  void LoseOccupant() noexcept;
  void Retry(const RemoteStatement& statement, bool has_sink);
  std::string Prepare(const RemoteStatement& statement);

  core::NodeId node_;
  std::string conninfo_;
  Connection connection_;
  SessionSettings settings_;
  bool settings_known_ = false;
  bool broken_ = false;
  bool in_transaction_ = false;
  bool wrote_ = false;
  bool first_in_transaction_ = false;
  int savepoint_level_ = 0;
  SessionOccupant* occupant_ = nullptr;
  std::string prepared_gid_;

  struct Prepared {
    std::string name;
    std::uint64_t last_use;
  };
  boost::unordered_flat_map<std::string, Prepared> prepared_;
  std::uint64_t statements_ = 0;
  std::uint64_t names_ = 0;
};

}  // namespace teamscale

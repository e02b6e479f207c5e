// A session of this backend on another node: a connection that has proved itself, its prepared
// statements and settings, and its part in the current transaction. Guarded dialect.
//
// What a statement needs beforehand travels with it, in one flight:
//
//   [settings, Sync] [BEGIN] [RELEASE] [SAVEPOINT ...] [settings] [SET CONSTRAINTS ...]
//   [DEALLOCATE] [Parse] statement, Sync
//
// Settings go before BEGIN, with a Sync of their own: so a ROLLBACK does not take them back. A
// statement without parameters may consist of several commands, which libpq's pipeline does not
// take: it follows in a flight of its own.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "teamscale/postgres/cluster/connection.h"
#include "teamscale/postgres/cluster/prepared_statements.h"
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
  RemoteSession(const core::Node& node, const std::string& role, bool by_superuser);
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

  // From a statement's begin to Vacate; MakeWay has the occupant yield.
  void Occupy(SessionOccupant* occupant) { occupant_ = occupant; }
  void Vacate() { occupant_ = nullptr; }
  void MakeWay();

  // Sends a statement; ReadAnswer takes its rows and outcome. If the answer's error says that a
  // prepared statement is out of date, and nothing was done yet, it is sent once more.
  void Send(const RemoteStatement& statement, bool has_sink);
  RemoteOutcome ReadAnswer(const RemoteStatement& statement, RowSink* sink);

  // Makes the session part of the current transaction, or only gives it the current settings, and
  // waits for that.
  void Join(Effect effect);
  void SendSettings();

  // One command by itself. Send..., then Expect for each session.
  void SendCommand(const std::string& sql);
  ResultPointer ExpectCommand();

  void MarkPrepared(std::string gid) { prepared_gid_ = std::move(gid); }
  // The transaction is over there: by a commit, or a prepare.
  void LeaveTransaction();

  // Never throw; a session that cannot be brought in order is broken and goes.
  void Abort() noexcept;
  void AbortSubtransaction(int level) noexcept;
  void CommitSubtransaction(int level) noexcept;

 private:
  enum class StepKind {
    kSettings,
    kBegin,
    kReadOnly,
    kRelease,
    kSavepoint,
    kConstraints,
    kDeallocate,
    kParse,
    kStatement,
    kSync,
  };
  struct Step {
    StepKind kind;
    int level = 0;          // of a savepoint; of constraint modes, how many are followed then
    std::string text = {};  // the name of a prepared statement
  };
  struct Flight {
    std::vector<Step> steps;
    std::size_t current = 0;
    int constraint_modes = 0;  // that are followed when it has succeeded
    bool current_failed = false;
    bool single_rows = false;
    bool cached_statement = false;  // it was prepared before this flight
    bool begins = false;            // with BEGIN, or without any transaction
    SessionSettings settings;       // that it sends
    std::uint64_t settings_version = 0;
    std::string key;  // of the statement that it prepares
  };

  void Prove(core::NodeId router, std::int64_t epoch);
  void LoseOccupant() noexcept;

  void BeginFlight();
  void AddCommand(StepKind kind, const std::string& sql, int level = 0);
  void AddSync();
  void AddSettings();
  void AddTransaction(Effect effect);
  // Those of the subtransactions above the level that are still to be sent.
  void AddConstraintModes(int below_level);
  void AddContext(Effect effect);
  // Gives the name of the prepared statement.
  std::string AddPrepare(const RemoteStatement& statement);
  void AddStatement(const RemoteStatement& statement);
  // The next step is at the head of what libpq reads.
  void EnterStep();
  // Follows the results of the flight; a null is the end of a command's.
  void Account(const PGresult* result);
  void Succeeded(const Step& step);
  // Reads what is left of a flight without a statement; throws the first error.
  void FinishFlight();
  bool CancelFlight() noexcept;
  [[noreturn]] void ThrowLost() const;

  RemoteOutcome ReadSimpleAnswer(RowSink* sink);
  RemoteOutcome ReadFlight(RowSink* sink, ResultPointer* failed, bool* row_seen);
  void TakeRows(const PGresult* result, RowSink* sink, RemoteOutcome* outcome, bool* row_seen);

  core::NodeId node_;
  std::string conninfo_;
  bool by_superuser_;
  Connection connection_;
  PreparedStatements prepared_;
  Flight flight_;
  SessionOccupant* occupant_ = nullptr;

  SessionSettings settings_;
  std::uint64_t settings_version_ = 0;  // 0: it is open which values stand there
  bool settings_in_transaction_ = false;

  bool broken_ = false;
  bool in_transaction_ = false;
  bool wrote_ = false;
  bool read_only_ = false;
  int begun_level_ = 0;       // the subtransaction that BEGIN belongs to
  int savepoint_level_ = 0;   // the innermost savepoint's
  int constraint_modes_ = 0;  // how many of the transaction's are followed there
  int release_level_ = 0;     // of the outermost savepoint that is no longer needed; 0: none
  std::string prepared_gid_;
};

}  // namespace teamscale

// What the rest of teamscale asks of other nodes: statements and rows within the current
// transaction. Guarded dialect (see boundary/guard.h): everything here throws.
//
// Of one transaction there is one connection per node and user; it is opened, or taken from the
// backend's cache, at the first use, joins the transaction (BEGIN, savepoints, settings, in one
// flight with the statement) and takes part in its commit. An error of the remote server is thrown
// as a RemoteError with its SQLSTATE, message, DETAIL, HINT, schema, table, column, data type and
// constraint names, and a CONTEXT that names the node.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "teamscale/core/sharding/shard_map.h"
#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "libpq-fe.h"
}

namespace teamscale {

// An error that a node answered with, or the loss of its connection.
class RemoteError : public PostgresError {
 public:
  RemoteError(core::NodeId node, ErrorData* data) noexcept : PostgresError(data), node_(node) {}
  core::NodeId node() const noexcept { return node_; }

 private:
  core::NodeId node_;
};

struct RemoteParameter {
  Oid type = InvalidOid;  // the remote's OID; InvalidOid lets the remote infer it from the text
  bool is_null = false;
  bool binary = false;
  std::string value;
};

// kWrites whenever the statement may take a transaction id there (DML, row locks, a volatile
// function): when unsure, it writes.
enum class Effect { kReads, kWrites };

struct RemoteStatement {
  std::string sql;
  std::vector<RemoteParameter> parameters = {};
  Effect effect = Effect::kWrites;
  bool keep_prepared = false;    // prepared once per connection, found again by text and types
  std::uint64_t generation = 0;  // of what the text refers to: another one is prepared anew
  bool binary_result = false;    // of all columns: libpq asks for one format per result
  bool alone = false;            // a read outside any transaction block: travels without BEGIN
};

struct RemoteOutcome {
  std::string tag;         // as PQcmdStatus gives it
  std::uint64_t rows = 0;  // rows affected, or returned
};

class RowSink {
 public:
  virtual ~RowSink() = default;
  virtual void Row(core::NodeId node, const PGresult* result, int row) = 0;
};

// Runs one statement on one node; rows reach the sink one by one (single-row mode).
RemoteOutcome ExecuteOnNode(core::NodeId node, const RemoteStatement& statement,
                            RowSink* sink = nullptr);

// The same on several nodes at once. All have answered when it returns or throws; what is thrown is
// the error of the first failing node in the order given.
std::vector<RemoteOutcome> ExecuteOnNodes(std::span<const core::NodeId> nodes,
                                          const RemoteStatement& statement,
                                          RowSink* sink = nullptr);

// Outside the current transaction, on a connection of its own that is closed afterwards: for
// commands that refuse a transaction block. user null: the current user.
RemoteOutcome ExecuteOutsideTransaction(core::NodeId node, const std::string& sql,
                                        RowSink* sink = nullptr, const char* user = nullptr);

// COPY ... FROM STDIN on several nodes at once, with back-pressure: Put waits while a node's kernel
// buffer is full, and bounds what is kept in memory. When something else needs a node's connection
// meanwhile (a trigger of this node's rows, say), the COPY there is ended first, and the next Put
// begins another one.
class RemoteCopy {
 public:
  // sql is the whole COPY command, the same for every node; prologue is what each stream begins
  // with (the header of the binary format).
  RemoteCopy(std::string sql, std::string prologue);
  RemoteCopy(const RemoteCopy&) = delete;
  RemoteCopy& operator=(const RemoteCopy&) = delete;
  ~RemoteCopy();  // an unfinished COPY leaves its connections to the abort of the transaction

  // Sends whole rows to the node's COPY. True when they are the first of a COPY.
  bool Put(core::NodeId node, std::string_view rows);
  // Ends all of them and gives the rows copied, or throws the first node's error.
  std::uint64_t Finish();

 private:
  struct State;
  State* state_;
};

}  // namespace teamscale

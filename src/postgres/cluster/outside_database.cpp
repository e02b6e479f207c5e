#include "teamscale/postgres/cluster/outside_database.h"

#include "teamscale/postgres/boundary/extension_owner.h"
#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/worker/own_transaction.h"

extern "C" {
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
}

namespace teamscale {

namespace {

constexpr char kRead[] =
    "SELECT node_id::text, conninfo, since::text FROM teamscale_internal.outside_database";
// A change of the catalog holds this row.
constexpr char kLockCluster[] = "SELECT FROM teamscale_internal.cluster FOR UPDATE SKIP LOCKED";
constexpr char kForget[] =
    "DELETE FROM teamscale_internal.outside_database "
    "WHERE node_id = $1 AND conninfo = $2 AND since::text = $3";

// Plain dialect.
const char* Value(std::uint64_t row, int column) {
  return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}

struct Row {
  const char* node;
  const char* conninfo;
  const char* since;
};

// Calls take(row) for each; false when a change is going on.
template <typename F>
bool Read(F&& take) {
  SPI_connect();
  PushActiveSnapshot(GetTransactionSnapshot());
  ExecuteAsExtensionOwner(kRead, 0, nullptr, nullptr, nullptr);
  std::uint64_t count = SPI_processed;
  for (std::uint64_t row = 0; row < count; ++row)
    take(Row{Value(row, 1), Value(row, 2), Value(row, 3)});
  bool quiet = true;
  // The lock costs a write: only where there is something to forget.
  if (count > 0) {
    ExecuteAsExtensionOwner(kLockCluster, 0, nullptr, nullptr, nullptr);
    quiet = SPI_processed > 0;
  }
  PopActiveSnapshot();
  SPI_finish();
  return quiet;
}

void Forget(core::NodeId node, const char* conninfo, const char* since) {
  Oid types[] = {INT4OID, TEXTOID, TEXTOID};
  Datum values[] = {Int32GetDatum(node), CStringGetTextDatum(conninfo), CStringGetTextDatum(since)};
  SPI_connect();
  PushActiveSnapshot(GetTransactionSnapshot());
  ExecuteAsExtensionOwner(kForget, 3, types, values, nullptr);
  PopActiveSnapshot();
  SPI_finish();
}

}  // namespace

OutsideDatabases ReadOutsideDatabases() {
  OutsideDatabases found;
  CallPostgres([&found] {
    WithTransaction([&found] {
      found.quiet = Read([&found](const Row& row) {
        EnterFromPostgres([&] {
          found.databases.push_back(
              {.node = std::stoi(row.node), .conninfo = row.conninfo, .since = row.since});
        });
      });
    });
  });
  return found;
}

void ForgetOutsideDatabases(const std::vector<OutsideDatabase>& databases) {
  if (databases.empty()) return;
  CallPostgres([&databases] {
    WithTransaction([&databases] {
      for (const OutsideDatabase& database : databases)
        Forget(database.node, database.conninfo.c_str(), database.since.c_str());
    });
  });
}

}  // namespace teamscale

#include "teamscale/postgres/events/stream_catalog.h"

#include "teamscale/postgres/boundary/extension_owner.h"

extern "C" {
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
}

namespace teamscale {

namespace {

// A walsender starts its output plugin outside any transaction.
template <typename F>
void InSomeTransaction(F&& body) {
  MemoryContext caller = CurrentMemoryContext;
  bool own = !IsTransactionState();
  if (own) StartTransactionCommand();
  PushActiveSnapshot(GetTransactionSnapshot());
  SPI_connect();
  body(caller);
  SPI_finish();
  PopActiveSnapshot();
  if (own) CommitTransactionCommand();
  MemoryContextSwitchTo(caller);
}

const char* Text(int row, int column) {
  const char* value = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
  return value ? value : "";
}

}  // namespace

List* ReadStreamOptions(const char* name) {
  List* options = NIL;
  InSomeTransaction([&](MemoryContext caller) {
    Oid types[] = {TEXTOID};
    Datum values[] = {CStringGetTextDatum(name)};
    ExecuteAsExtensionOwner("SELECT option, value FROM teamscale_internal.plugin_options($1)", 1,
                            types, values, nullptr);
    MemoryContext spi = MemoryContextSwitchTo(caller);
    for (std::uint64_t i = 0; i < SPI_processed; ++i)
      options = lappend(
          options,
          makeDefElem(pstrdup(Text(static_cast<int>(i), 1)),
                      reinterpret_cast<Node*>(makeString(pstrdup(Text(static_cast<int>(i), 2)))),
                      -1));
    MemoryContextSwitchTo(spi);
  });
  return options;
}

const char* ReadMessageSecret() {
  const char* secret = nullptr;
  InSomeTransaction([&](MemoryContext caller) {
    Oid schema = get_namespace_oid("teamscale_internal", true);
    if (!OidIsValid(schema) || !OidIsValid(get_relname_relid("message_secret", schema))) return;
    ExecuteAsExtensionOwner("SELECT secret FROM teamscale_internal.message_secret", 0, nullptr,
                            nullptr, nullptr);
    if (SPI_processed == 1) secret = MemoryContextStrdup(caller, Text(0, 1));
  });
  return secret;
}

}  // namespace teamscale

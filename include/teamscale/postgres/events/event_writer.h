// From changes to events: counting, filtering, and writing in the stream's format. Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"
#include "teamscale/postgres/events/plugin_state.h"

namespace teamscale {

// Defines teamscale.max_event_size. Called once by _PG_init.
void InitEventWriter();

void BeginTransaction(PluginState* state, const ReorderBufferTXN* transaction);
void EndTransaction(PluginState* state);
void WriteChange(PluginState* state, Relation relation, const ReorderBufferChange* change);
void WriteTruncate(PluginState* state, int count, Relation relations[],
                   const ReorderBufferChange* change);
// transaction null: a message that is of no transaction.
void WriteMessage(PluginState* state, const ReorderBufferTXN* transaction, XLogRecPtr lsn,
                  const char* prefix, std::string_view message);

}  // namespace teamscale

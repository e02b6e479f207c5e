// The shared memory of the background workers: one slot per database that may need a maintenance
// worker. Plain dialect.
#pragma once

#include <cstdint>

#include "teamscale/postgres/boundary/server.h"
#include "teamscale/postgres/worker/maintenance.h"

namespace teamscale {

void InitMaintenanceSlots();

// --- The launcher's side

// Whose latch is set when something may have changed for the launcher.
void RegisterLauncher();

// Grows whenever a database may have got the extension.
std::uint64_t ExtensionChanges();

// What the launcher should do about a database.
enum class WorkerNeed {
  kNone,   // a worker is there, or the database lacks the extension, or it must be left alone
  kStart,  // a worker should be started
};
WorkerNeed NeedOfWorker(Oid database);

// The database is gone.
void ForgetDatabase(Oid database);

// --- The worker's side

// Takes the database's slot. False when another worker has it, or the database must be left alone.
bool EnterDatabase(Oid database);
// The worker found no extension when ExtensionChanges() was this; the launcher starts none again
// until it has grown.
void ReportNoExtension(std::uint64_t changes);
// Whether any task was asked for, and whether this one was since the last call.
bool AnyRequest();
bool TakeRequest(MaintenanceTaskId task);

// --- Any backend's side

// Makes the database's worker run a task now. Never raises; callable while a transaction ends.
void RequestIn(Oid database, MaintenanceTaskId task);
// Tells the launcher that a database was made or has got the extension.
void NoteExtensionChange();
// Keeps workers out of a database for some seconds and waits until the present one has left:
// DROP DATABASE and its like need a database without sessions.
void EvictWorker(Oid database);

}  // namespace teamscale

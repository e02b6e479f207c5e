// The launcher of the maintenance workers.
#pragma once

namespace teamscale {

// Has the postmaster keep a launcher. Only while the server is starting.
void RegisterLauncherProcess();

}  // namespace teamscale

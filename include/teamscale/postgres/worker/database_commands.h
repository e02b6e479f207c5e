// Commands that need a database without sessions, or that give a database the extension: the
// maintenance workers step aside for the first and follow the second.
#pragma once

namespace teamscale {

// Sets a ProcessUtility hook. Called when the server is starting.
void InitDatabaseCommands();

}  // namespace teamscale

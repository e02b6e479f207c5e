// The router's settings in a node's session: taken when the router sends them, and put back when a
// statement has changed them. What the router's client has set holds for each statement, and what
// code leaves behind on one node (set_config() in a function, run_on_node()) for none.
#pragma once

namespace teamscale {

// The statement that brings them; its parameter is what SettingsChange() gives.
extern const char kTakeSettings[];

// Called once by _PG_init.
void InitTakenSettings();

// Puts the router's settings back. After each statement of a node's session; in others it does
// nothing. Plain dialect.
void RestoreTakenSettings();

}  // namespace teamscale

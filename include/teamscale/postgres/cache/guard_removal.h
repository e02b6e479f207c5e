// The test build can do without one of the guards that keep the cache exact, to show that the tests
// would notice. In the release build there is no such thing.
//
//   SET teamscale.removed_guard = 'definition lock';
#pragma once

namespace teamscale {

#ifdef TEAMSCALE_WAIT_POINTS
void InitGuardRemoval();
bool GuardIsRemoved(const char* name);
#else
inline void InitGuardRemoval() {}
constexpr bool GuardIsRemoved(const char*) { return false; }
#endif

}  // namespace teamscale

// Named points at which a test makes a backend wait, die or fail: races and kills without sleeps.
// They are there in the test build (-DTEAMSCALE_WAIT_POINTS=ON) only, and nothing in the release.
//
//   TEAMSCALE_WAIT_POINT("participants prepared");
//
// The setting teamscale.wait_point (superusers; also by ALTER DATABASE and ALTER SYSTEM, which
// reach sessions that are not one's own) says what happens there, as a list:
//
//   SET teamscale.wait_point = 'participants prepared=wait, commit decided=die';
//
//   wait    until nobody holds the advisory lock of that name: a test takes it before, by
//           pg_advisory_lock(hashtext('participants prepared')) in the same database. The backend
//           is seen waiting in pg_stat_activity and pg_locks, and can be cancelled.
//   die     ends the process as kill -9 does; the server restarts all others.
//   raise   an ERROR, SQLSTATE TS999.
//
// Plain dialect: in guarded code inside CallPostgres. Where an ERROR would be a PANIC (a COMMIT
// callback), neither raise nor cancel.
#pragma once

namespace teamscale {

#ifdef TEAMSCALE_WAIT_POINTS
void InitWaitPoints();
void ReachWaitPoint(const char* name);
#define TEAMSCALE_WAIT_POINT(name) ::teamscale::ReachWaitPoint(name)
#else
inline void InitWaitPoints() {}
#define TEAMSCALE_WAIT_POINT(name) static_cast<void>(0)
#endif

}  // namespace teamscale

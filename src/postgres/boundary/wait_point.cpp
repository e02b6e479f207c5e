#include "teamscale/postgres/boundary/wait_point.h"

#ifdef TEAMSCALE_WAIT_POINTS

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/guc.h"
}

#include <unistd.h>
#include <csignal>

namespace teamscale {

namespace {

char* wait_points = nullptr;

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// What the setting says of this point; empty when nothing.
std::string_view ActionAt(std::string_view name) {
  std::string_view rest = wait_points ? wait_points : "";
  while (!rest.empty()) {
    std::string_view item = rest.substr(0, rest.find(','));
    rest.remove_prefix(item.size() < rest.size() ? item.size() + 1 : item.size());
    std::size_t equals = item.find('=');
    if (equals != item.npos && Trimmed(item.substr(0, equals)) == name)
      return Trimmed(item.substr(equals + 1));
  }
  return {};
}

// Takes the lock that pg_advisory_lock(hashtext(name)) takes, in a mode that its holder excludes
// and other waiters do not, and gives it back at once. It belongs to the session, not to the
// transaction, which may be ending.
void WaitForRelease(std::string_view name) {
  auto key = static_cast<int32>(DatumGetUInt32(hash_any(
      reinterpret_cast<const unsigned char*>(name.data()), static_cast<int>(name.size()))));
  auto wide = static_cast<uint64>(static_cast<int64>(key));
  LOCKTAG tag;
  SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, static_cast<uint32>(wide >> 32),
                       static_cast<uint32>(wide), 1);
  LockAcquire(&tag, ShareLock, true, false);
  LockRelease(&tag, ShareLock, true);
}

}  // namespace

void InitWaitPoints() {
  DefineCustomStringVariable("teamscale.wait_point",
                             "What happens at the named points of the test build.", nullptr,
                             &wait_points, "", PGC_SUSET, 0, nullptr, nullptr, nullptr);
}

void ReachWaitPoint(const char* name) {
  std::string_view action = ActionAt(name);
  if (action.empty()) return;
  if (action == "wait") {
    WaitForRelease(name);
  } else if (action == "die") {
    kill(getpid(), SIGKILL);
  } else {
    ereport(ERROR, (errcode(MAKE_SQLSTATE('T', 'S', '9', '9', '9')),
                    errmsg("wait point \"%s\" was reached", name),
                    errdetail("The setting teamscale.wait_point asks for an error there.")));
  }
}

}  // namespace teamscale

#endif

#include "teamscale/postgres/boundary/hidden_changes.h"

#include "teamscale/postgres/boundary/sql_function.h"

extern "C" {
#include "access/xact.h"
}

namespace teamscale {

namespace {

bool hiding = false;
RepOriginId previous = InvalidRepOriginId;

// An error skips the statement that would have shown changes again.
void OnTransactionEnd(XactEvent event, void*) {
  // Before the commit's own record, which is not hidden.
  if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE ||
      event == XACT_EVENT_ABORT)
    HideChanges(false);
}

void OnSubtransactionEnd(SubXactEvent event, SubTransactionId, SubTransactionId, void*) {
  if (event == SUBXACT_EVENT_ABORT_SUB) HideChanges(false);
}

}  // namespace

bool HideChanges(bool hidden) {
  bool hid = hiding;
  if (hidden == hid) return hid;
  if (hidden) {
    previous = replorigin_session_origin;
    replorigin_session_origin = kHiddenChanges;
  } else {
    replorigin_session_origin = previous;
  }
  hiding = hidden;
  return hid;
}

void InitHiddenChanges() {
  RegisterXactCallback(OnTransactionEnd, nullptr);
  RegisterSubXactCallback(OnSubtransactionEnd, nullptr);
}

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_hide_changes) {
  teamscale::HideChanges(PG_GETARG_BOOL(0));
  PG_RETURN_VOID();
}

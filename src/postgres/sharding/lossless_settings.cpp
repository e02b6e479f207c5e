#include "teamscale/postgres/sharding/lossless_settings.h"

extern "C" {
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/bytea.h"
#include "utils/float.h"
#include "utils/guc.h"
}

namespace teamscale {

namespace {

void SetLocally(const char* name, const char* value) {
  set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

}  // namespace

int EnterLosslessSettings() {
  int level = NewGUCNestLevel();
  if (DateStyle != USE_ISO_DATES) SetLocally("datestyle", "ISO");
  if (IntervalStyle != INTSTYLE_POSTGRES) SetLocally("intervalstyle", "postgres");
  // Any positive number gives the shortest text that reads back as the same float.
  if (extra_float_digits < 1) SetLocally("extra_float_digits", "3");
  if (bytea_output != BYTEA_OUTPUT_HEX) SetLocally("bytea_output", "hex");
  return level;
}

void LeaveLosslessSettings(int level) { AtEOXact_GUC(true, level); }

}  // namespace teamscale

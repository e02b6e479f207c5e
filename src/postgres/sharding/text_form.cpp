// The SQL function that gives a value's text form on the node that holds it.
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/sharding/lossless_settings.h"

extern "C" {
#include "utils/builtins.h"
#include "utils/lsyscache.h"
}

// teamscale.text_form(value anyelement) RETURNS text
TEAMSCALE_SQL_FUNCTION(teamscale_text_form) {
  if (!fcinfo->flinfo->fn_extra) {
    Oid output;
    bool is_varlena;
    getTypeOutputInfo(get_fn_expr_argtype(fcinfo->flinfo, 0), &output, &is_varlena);
    auto* function =
        static_cast<FmgrInfo*>(MemoryContextAlloc(fcinfo->flinfo->fn_mcxt, sizeof(FmgrInfo)));
    fmgr_info_cxt(output, function, fcinfo->flinfo->fn_mcxt);
    fcinfo->flinfo->fn_extra = function;
  }
  int settings = teamscale::EnterLosslessSettings();
  char* text =
      OutputFunctionCall(static_cast<FmgrInfo*>(fcinfo->flinfo->fn_extra), PG_GETARG_DATUM(0));
  teamscale::LeaveLosslessSettings(settings);
  PG_RETURN_TEXT_P(cstring_to_text(text));
}

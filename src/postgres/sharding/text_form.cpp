#include "teamscale/postgres/sharding/text_form.h"

#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/sharding/lossless_settings.h"

extern "C" {
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
}

namespace teamscale {

Oid TextOutputFunction(Oid type) {
  if (getBaseType(type) == XMLOID) return F_TEXTOUT;
  Oid function;
  bool is_varlena;
  getTypeOutputInfo(type, &function, &is_varlena);
  return function;
}

Oid TextInputFunction(Oid type, Oid* input_parameter) {
  if (getBaseType(type) == XMLOID) {
    *input_parameter = InvalidOid;
    return F_TEXTIN;
  }
  Oid function;
  getTypeInputInfo(type, &function, input_parameter);
  return function;
}

}  // namespace teamscale

// teamscale.text_form(value anyelement) RETURNS text
TEAMSCALE_SQL_FUNCTION(teamscale_text_form) {
  FmgrInfo* call = fcinfo->flinfo;
  if (!call->fn_extra) {
    auto* output = static_cast<FmgrInfo*>(MemoryContextAlloc(call->fn_mcxt, sizeof(FmgrInfo)));
    fmgr_info_cxt(teamscale::TextOutputFunction(get_fn_expr_argtype(call, 0)), output,
                  call->fn_mcxt);
    call->fn_extra = output;
  }
  int settings = teamscale::EnterLosslessSettings();
  char* text = OutputFunctionCall(static_cast<FmgrInfo*>(call->fn_extra), PG_GETARG_DATUM(0));
  teamscale::LeaveLosslessSettings(settings);
  PG_RETURN_TEXT_P(cstring_to_text(text));
}

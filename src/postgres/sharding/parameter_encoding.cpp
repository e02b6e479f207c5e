#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/sharding/hoisting.h"
#include "teamscale/postgres/sharding/lossless_settings.h"
#include "teamscale/postgres/sharding/text_form.h"
#include "teamscale/postgres/sharding/wire.h"

extern "C" {
#include "utils/lsyscache.h"
}

namespace teamscale {

namespace {

struct Encoded {
  bool binary;
  const char* bytes;
  std::size_t size;
};

// Plain. The result lives in the current memory context.
Encoded Encode(Datum value, Oid type) {
  if (TravelsBinary(type)) {
    Oid function;
    bool is_varlena;
    getTypeBinaryOutputInfo(type, &function, &is_varlena);
    bytea* bytes = OidSendFunctionCall(function, value);
    return {true, VARDATA(bytes), VARSIZE(bytes) - VARHDRSZ};
  }
  int settings = EnterLosslessSettings();
  char* text = OidOutputFunctionCall(TextOutputFunction(type), value);
  LeaveLosslessSettings(settings);
  return {false, text, strlen(text)};
}

}  // namespace

RemoteParameter EncodeParameter(Datum value, bool is_null, Oid type) {
  RemoteParameter parameter;
  parameter.type = IsSameOnEveryNode(type) ? type : InvalidOid;
  parameter.is_null = is_null;
  if (is_null) return parameter;
  Encoded encoded = CallPostgres([&] { return Encode(value, type); });
  parameter.binary = encoded.binary;
  parameter.value.assign(encoded.bytes, encoded.size);
  return parameter;
}

}  // namespace teamscale

#include "teamscale/postgres/events/stream_messages.h"

#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/events/stream_catalog.h"

extern "C" {
#include "access/htup_details.h"
#include "replication/message.h"
#include "utils/builtins.h"
}

namespace teamscale {

namespace {

constexpr std::string_view kPrefix = "teamscale ";

void AppendPart(StringInfo out, const text* part) {
  std::int32_t length = part ? static_cast<std::int32_t>(VARSIZE_ANY_EXHDR(part)) : -1;
  appendBinaryStringInfo(out, reinterpret_cast<const char*>(&length), sizeof(length));
  if (part) appendBinaryStringInfo(out, VARDATA_ANY(part), length);
}

std::string_view TakePart(std::string_view* bytes) {
  std::int32_t length;
  memcpy(&length, bytes->data(), sizeof(length));
  bytes->remove_prefix(sizeof(length));
  if (length < 0) return {};
  std::string_view part = bytes->substr(0, length);
  bytes->remove_prefix(length);
  return part;
}

}  // namespace

OwnMessage KindOfMessage(const char* prefix, const char* secret) {
  std::string_view rest = prefix;
  if (!secret || !rest.starts_with(kPrefix)) return OwnMessage::kNone;
  rest.remove_prefix(kPrefix.size());
  std::string_view own = secret;
  if (!rest.starts_with(own) || own.empty()) return OwnMessage::kNone;
  rest.remove_prefix(own.size());
  if (rest == " ddl") return OwnMessage::kDdl;
  if (rest == " event") return OwnMessage::kEvent;
  if (rest == " row") return OwnMessage::kRow;
  return OwnMessage::kNone;
}

MessageParts ParseEventMessage(std::string_view bytes, std::string_view* stream) {
  MessageParts parts = {};
  *stream = TakePart(&bytes);
  parts.topic = TakePart(&bytes);
  parts.key = TakePart(&bytes);
  parts.headers = TakePart(&bytes);
  parts.payload = TakePart(&bytes);
  parts.transactional = true;
  return parts;
}

RowMessage ParseRowMessage(std::string_view bytes) {
  RowMessage message;
  message.stream = bytes.substr(0, kStreamIdSize);
  bytes.remove_prefix(kStreamIdSize);
  memcpy(&message.relation, bytes.data(), sizeof(Oid));
  message.tuple = bytes.substr(sizeof(Oid));
  return message;
}

void EmitOwnMessage(const char* kind, std::string_view bytes) {
  const char* secret = ReadMessageSecret();
  if (!secret)
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("this database has no secret for its logical messages")));
  LogLogicalMessage(psprintf("%s%s %s", kPrefix.data(), secret, kind), bytes.data(), bytes.size(),
                    true);
}

}  // namespace teamscale

// emit_event() on this node: the arguments have been checked.
TEAMSCALE_SQL_FUNCTION(teamscale_write_event) {
  StringInfoData message;
  initStringInfo(&message);
  for (int i = 0; i < 5; ++i)
    teamscale::AppendPart(&message, PG_ARGISNULL(i) ? nullptr : PG_GETARG_TEXT_PP(i));
  teamscale::EmitOwnMessage("event", {message.data, static_cast<std::size_t>(message.len)});
  PG_RETURN_VOID();
}

TEAMSCALE_SQL_FUNCTION(teamscale_write_ddl) {
  text* json = PG_GETARG_TEXT_PP(0);
  teamscale::EmitOwnMessage("ddl",
                            {VARDATA_ANY(json), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(json))});
  PG_RETURN_VOID();
}

// write_row(secret, stream, relation, row): called for each row, so the secret is an argument.
TEAMSCALE_SQL_FUNCTION(teamscale_write_row) {
  const char* secret = text_to_cstring(PG_GETARG_TEXT_PP(0));
  text* stream = PG_GETARG_TEXT_PP(1);
  Oid relation = PG_GETARG_OID(2);
  HeapTupleHeader row = PG_GETARG_HEAPTUPLEHEADER(3);
  StringInfoData message;
  initStringInfo(&message);
  appendBinaryStringInfo(&message, VARDATA_ANY(stream), VARSIZE_ANY_EXHDR(stream));
  appendBinaryStringInfo(&message, reinterpret_cast<const char*>(&relation), sizeof(relation));
  appendBinaryStringInfo(&message, reinterpret_cast<const char*>(row),
                         static_cast<int>(HeapTupleHeaderGetDatumLength(row)));
  LogLogicalMessage(psprintf("%s%s row", teamscale::kPrefix.data(), secret), message.data,
                    message.len, true);
  PG_RETURN_VOID();
}

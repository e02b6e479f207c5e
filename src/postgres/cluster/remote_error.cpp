#include "teamscale/postgres/cluster/remote_error.h"

#include <cstring>
#include <vector>

#include "teamscale/postgres/cluster/remote.h"

extern "C" {
#include "utils/memutils.h"
}

namespace teamscale {

namespace {

struct Notice {
  int level;
  int sqlstate;
  std::string message;
  std::string detail;
  std::string hint;
};

std::vector<Notice>& Notices() {
  static std::vector<Notice> notices;
  return notices;
}

int SqlState(const PGresult* result, int otherwise) {
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  if (!state || std::strlen(state) != 5) return otherwise;
  return MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4]);
}

int Level(const PGresult* result) {
  const char* severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  std::string_view name = severity ? severity : "NOTICE";
  if (name == "WARNING") return WARNING;
  if (name == "INFO") return INFO;
  if (name == "LOG") return LOG;
  if (name.starts_with("DEBUG")) return DEBUG1;
  return NOTICE;
}

std::string Field(const PGresult* result, int field) {
  const char* value = PQresultErrorField(result, field);
  return value ? value : "";
}

char* Copy(const PGresult* result, int field) {
  const char* value = PQresultErrorField(result, field);
  return value ? pstrdup(value) : nullptr;
}

char* Copy(const std::string& text) { return text.empty() ? nullptr : pstrdup(text.c_str()); }

// The two below are of the plain dialect.
ErrorData* NewErrorData() {
  auto* error = static_cast<ErrorData*>(palloc0(sizeof(ErrorData)));
  error->elevel = ERROR;
  error->output_to_server = true;
  error->output_to_client = true;
  error->filename = __FILE__;
  error->funcname = __func__;
  error->lineno = __LINE__;
  error->assoc_context = CurrentMemoryContext;
  return error;
}

ErrorData* MakeErrorData(const Error& parts) {
  ErrorData* error = NewErrorData();
  error->sqlerrcode = parts.sqlstate();
  error->message = pstrdup(parts.what());
  error->message_id = error->message;
  error->detail = Copy(parts.detail());
  error->hint = Copy(parts.hint());
  return error;
}

ErrorData* MakeErrorData(const PGresult* result, const char* what) {
  ErrorData* error = NewErrorData();
  error->sqlerrcode = SqlState(result, ERRCODE_CONNECTION_FAILURE);
  error->message = Copy(result, PG_DIAG_MESSAGE_PRIMARY);
  if (!error->message) {
    const char* whole = PQresultErrorMessage(result);
    error->message = pstrdup(whole && *whole ? whole : "another node failed without a message");
  }
  error->message_id = error->message;
  error->detail = Copy(result, PG_DIAG_MESSAGE_DETAIL);
  error->hint = Copy(result, PG_DIAG_MESSAGE_HINT);
  error->schema_name = Copy(result, PG_DIAG_SCHEMA_NAME);
  error->table_name = Copy(result, PG_DIAG_TABLE_NAME);
  error->column_name = Copy(result, PG_DIAG_COLUMN_NAME);
  error->datatype_name = Copy(result, PG_DIAG_DATATYPE_NAME);
  error->constraint_name = Copy(result, PG_DIAG_CONSTRAINT_NAME);
  const char* context = PQresultErrorField(result, PG_DIAG_CONTEXT);
  error->context = context ? psprintf("%s\n%s", context, what) : pstrdup(what);
  return error;
}

}  // namespace

void ThrowRemoteError(const PGresult* result, const std::string& what, core::NodeId node) {
  const char* side = what.c_str();
  throw RemoteError(node, CallPostgres([=] { return MakeErrorData(result, side); }));
}

void ThrowRemoteError(const Error& error, core::NodeId node) {
  const Error* parts = &error;
  throw RemoteError(node, CallPostgres([parts] { return MakeErrorData(*parts); }));
}

void ForwardNotice(void*, const PGresult* result) {
  // Called by libpq, which is C: nothing may be thrown through it.
  try {
    Notices().push_back({Level(result), SqlState(result, ERRCODE_SUCCESSFUL_COMPLETION),
                         Field(result, PG_DIAG_MESSAGE_PRIMARY),
                         Field(result, PG_DIAG_MESSAGE_DETAIL),
                         Field(result, PG_DIAG_MESSAGE_HINT)});
  } catch (...) {
  }
}

void EmitForwardedNotices() {
  if (Notices().empty()) return;
  std::vector<Notice> notices = std::exchange(Notices(), {});
  for (const Notice& notice : notices) {
    const Notice* n = &notice;
    CallPostgres([n] {
      ereport(n->level, (errcode(n->sqlstate), errmsg_internal("%s", n->message.c_str()),
                         n->detail.empty() ? 0 : errdetail_internal("%s", n->detail.c_str()),
                         n->hint.empty() ? 0 : errhint("%s", n->hint.c_str())));
    });
  }
}

}  // namespace teamscale

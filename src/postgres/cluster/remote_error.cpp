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

// The two below are of the plain dialect. They raise for good: where an error is shown and logged
// is for the server to say.
[[noreturn]] void Raise(const Error& parts) {
  ereport(ERROR, (errcode(parts.sqlstate()), errmsg_internal("%s", parts.what()),
                  parts.detail().empty() ? 0 : errdetail_internal("%s", parts.detail().c_str()),
                  parts.hint().empty() ? 0 : errhint("%s", parts.hint().c_str())));
  pg_unreachable();
}

[[noreturn]] void Raise(const PGresult* result, const char* what) {
  auto field = [result](int code) { return PQresultErrorField(result, code); };
  auto name = [&field](int code) {
    const char* value = field(code);
    return value ? err_generic_string(code, value) : 0;
  };
  const char* message = field(PG_DIAG_MESSAGE_PRIMARY);
  if (!message) message = PQresultErrorMessage(result);
  if (!message || !*message) message = "another node failed without a message";
  const char* detail = field(PG_DIAG_MESSAGE_DETAIL);
  const char* hint = field(PG_DIAG_MESSAGE_HINT);
  const char* context = field(PG_DIAG_CONTEXT);
  ereport(ERROR,
          (errcode(SqlState(result, ERRCODE_CONNECTION_FAILURE)), errmsg_internal("%s", message),
           detail ? errdetail_internal("%s", detail) : 0, hint ? errhint("%s", hint) : 0,
           name(PG_DIAG_SCHEMA_NAME), name(PG_DIAG_TABLE_NAME), name(PG_DIAG_COLUMN_NAME),
           name(PG_DIAG_DATATYPE_NAME), name(PG_DIAG_CONSTRAINT_NAME),
           context ? errcontext("%s", context) : 0, errcontext("%s", what)));
  pg_unreachable();
}

template <typename F>
[[noreturn]] void ThrowFor(core::NodeId node, F&& raise) {
  ErrorData* data = nullptr;
  try {
    CallPostgres([&raise] { raise(); });
  } catch (const PostgresError& error) {
    data = error.data();
  }
  throw RemoteError(node, data);
}

}  // namespace

void ThrowRemoteError(const PGresult* result, const std::string& what, core::NodeId node) {
  const char* side = what.c_str();
  ThrowFor(node, [=] { Raise(result, side); });
}

void ThrowRemoteError(const Error& error, core::NodeId node) {
  ThrowFor(node, [&error] { Raise(error); });
}

std::string ReasonOf(const PostgresError& error) {
  std::string reason = error.what();
  if (const char* detail = error.data()->detail) reason.append(": ").append(detail);
  return reason;
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

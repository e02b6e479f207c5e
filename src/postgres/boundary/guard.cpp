#include "teamscale/postgres/boundary/guard.h"

#include <new>

extern "C" {
#include "utils/memutils.h"
}

namespace teamscale::guard_internal {

namespace {

// Copies a text without ever raising: an error within error handling would hide the first one.
char* CopyOrNull(const std::string& text) noexcept {
  if (text.empty()) return nullptr;
  auto* copy = static_cast<char*>(
      MemoryContextAllocExtended(CurrentMemoryContext, text.size() + 1, MCXT_ALLOC_NO_OOM));
  if (copy) std::char_traits<char>::copy(copy, text.c_str(), text.size() + 1);
  return copy;
}

}  // namespace

ErrorData* Try(void (*body)(void*), void* argument) {
  MemoryContext context = CurrentMemoryContext;
  ErrorData* volatile error = nullptr;
  PG_TRY();
  { body(argument); }
  PG_CATCH();
  {
    MemoryContextSwitchTo(context);
    error = CopyErrorData();
    FlushErrorState();
  }
  PG_END_TRY();
  return error;
}

void Describe(Pending* pending) noexcept {
  try {
    throw;
  } catch (const PostgresError& error) {
    pending->postgres = error.data();
  } catch (const Error& error) {
    pending->sqlstate = error.sqlstate();
    pending->message = CopyOrNull(error.what());
    pending->detail = CopyOrNull(error.detail());
    pending->hint = CopyOrNull(error.hint());
  } catch (const std::bad_alloc&) {
    pending->sqlstate = ERRCODE_OUT_OF_MEMORY;
  } catch (const std::exception& error) {
    pending->sqlstate = ERRCODE_INTERNAL_ERROR;
    try {
      pending->message = CopyOrNull(error.what());
    } catch (...) {
    }
  } catch (...) {
    pending->sqlstate = ERRCODE_INTERNAL_ERROR;
  }
}

void Raise(const Pending& pending) {
  if (pending.postgres) ReThrowError(pending.postgres);
  const char* fallback =
      pending.sqlstate == ERRCODE_OUT_OF_MEMORY ? "out of memory" : "unknown C++ exception";
  ereport(ERROR, (errcode(pending.sqlstate),
                  errmsg_internal("%s", pending.message ? pending.message : fallback),
                  pending.detail ? errdetail_internal("%s", pending.detail) : 0,
                  pending.hint ? errhint("%s", pending.hint) : 0));
  pg_unreachable();
}

}  // namespace teamscale::guard_internal

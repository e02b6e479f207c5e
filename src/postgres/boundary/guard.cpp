#include "teamscale/postgres/boundary/guard.h"

#include <new>

extern "C" {
#include "mb/pg_wchar.h"
#include "utils/memutils.h"
}

namespace teamscale::guard_internal {

namespace {

// Far more than a message needs, far less than what a memory context refuses with an error.
constexpr std::size_t kLongestText = 64 * 1024;

// Copies a text without ever raising: an error within error handling would hide the first one.
char* CopyOrNull(std::string_view text) noexcept {
  if (text.empty()) return nullptr;
  std::size_t length = text.size();
  if (length > kLongestText)
    length = pg_mbcliplen(text.data(), static_cast<int>(kLongestText + 1), kLongestText);
  auto* copy = static_cast<char*>(
      MemoryContextAllocExtended(CurrentMemoryContext, length + 1, MCXT_ALLOC_NO_OOM));
  if (!copy) return nullptr;
  text.copy(copy, length);
  copy[length] = '\0';
  return copy;
}

// What is thrown when there is no memory to copy an error: made beforehand.
ErrorData* NoMemoryForError() noexcept {
  static ErrorData error;
  static char message[] = "out of memory";
  static char detail[] = "There was no memory left to tell which error came first.";
  error.elevel = ERROR;
  error.output_to_server = true;
  error.output_to_client = true;
  error.sqlerrcode = ERRCODE_OUT_OF_MEMORY;
  error.message = message;
  error.detail = detail;
  error.assoc_context = ErrorContext;
  return &error;
}

// Takes the error out of PostgreSQL's hands. That allocates, and so may raise another.
ErrorData* TakeError(MemoryContext context) noexcept {
  ErrorData* volatile error = nullptr;
  PG_TRY();
  {
    MemoryContextSwitchTo(context);
    error = CopyErrorData();
  }
  PG_CATCH();
  {
    MemoryContextSwitchTo(context);
    error = NoMemoryForError();
  }
  PG_END_TRY();
  FlushErrorState();
  return error;
}

}  // namespace

void Try(void (*body)(void*), void* argument) {
  MemoryContext context = CurrentMemoryContext;
  ErrorData* volatile error = nullptr;
  std::exception_ptr thrown;  // no longjmp comes after it is set
  PG_TRY();
  {
    // An exception that passed PG_END_TRY by would leave PostgreSQL's handler pointing into a frame
    // that is gone.
    try {
      body(argument);
    } catch (...) {
      thrown = std::current_exception();
    }
  }
  PG_CATCH();
  { error = TakeError(context); }
  PG_END_TRY();
  if (error) throw PostgresError(error);
  if (thrown) {
    MemoryContextSwitchTo(context);
    std::rethrow_exception(std::move(thrown));
  }
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
    pending->message = CopyOrNull(error.what());
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

// SQL functions that err in every way that C++ and PostgreSQL know, with C++ objects on the way:
// the tests look at what arrives in SQL and count the objects.
#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/boundary/sql_function.h"

#include <sys/resource.h>

#include <new>
#include <stdexcept>
#include <vector>

extern "C" {
#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/wait_event.h"

PG_MODULE_MAGIC;
}

namespace teamscale {

namespace {

int living = 0;

// An object whose destructor must run: it owns memory that is not PostgreSQL's.
class Witness {
 public:
  Witness() : memory_(1024, 'x') { ++living; }
  ~Witness() { --living; }
  Witness(const Witness&) = delete;

 private:
  std::string memory_;
};

void RunSql(const char* sql) {
  if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
  int result = SPI_execute(sql, false, 0);
  if (result < 0) elog(ERROR, "SPI_execute: %s", SPI_result_code_string(result));
  SPI_finish();
}

// Frames with objects between the caller and PostgreSQL.
void RunSqlBelow(int frames, const char* sql) {
  Witness witness;
  if (frames > 0)
    RunSqlBelow(frames - 1, sql);
  else
    CallPostgres([sql] { RunSql(sql); });
}

struct NoStandardException {};

void Throw(std::string_view kind) {
  Witness witness;
  if (kind == "error") throw Error(ERRCODE_CHECK_VIOLATION, "message %s", "detail %d", "hint %n");
  if (kind == "error without detail") throw Error(ERRCODE_CHECK_VIOLATION, "bare message");
  if (kind == "huge error")
    throw Error(ERRCODE_CHECK_VIOLATION, std::string(3 << 20, 'x'), std::string(3 << 20, 'y'));
  if (kind == "std::exception") throw std::runtime_error("from the standard library");
  if (kind == "std::bad_alloc") throw std::bad_alloc();
  if (kind == "std::length_error") std::string().reserve(std::string::npos);
  if (kind == "int") throw 42;
  if (kind == "struct") throw NoStandardException{};
  if (kind == "nothing") return;
  throw std::logic_error("unknown kind");
}

// Waits as the adapters do, on the latch, until it is interrupted.
void WaitForever() {
  for (;;) {
    WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH, -1, PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
  }
}

// Rolls back to where it began and goes on: what catches an error must do.
std::string MessageOfFailedSql(const char* sql) {
  Witness witness;
  MemoryContext context = CurrentMemoryContext;
  ResourceOwner owner = CurrentResourceOwner;
  CallPostgres([context] {
    BeginInternalSubTransaction(nullptr);
    MemoryContextSwitchTo(context);
  });
  try {
    CallPostgres([sql] { RunSql(sql); });
  } catch (const PostgresError& error) {
    std::string message = error.what();
    CallPostgres([=] {
      RollbackAndReleaseCurrentSubTransaction();
      MemoryContextSwitchTo(context);
      CurrentResourceOwner = owner;
    });
    return message;
  }
  CallPostgres([=] {
    ReleaseCurrentSubTransaction();
    MemoryContextSwitchTo(context);
    CurrentResourceOwner = owner;
  });
  return {};
}

// Leaves just so much address space that the error can be raised and not copied.
void TakeMemoryAway(void*) {
  rlimit limit{};
  getrlimit(RLIMIT_AS, &limit);
  limit.rlim_cur = 1;
  setrlimit(RLIMIT_AS, &limit);
}

void GiveMemoryBack() {
  rlimit limit{};
  getrlimit(RLIMIT_AS, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_AS, &limit);
}

// An error whose text is larger than what the process may still allocate when it is caught.
void RaiseWithoutMemory() {
  std::size_t size = 32 << 20;
  auto* text = static_cast<char*>(palloc(size + 1));
  std::char_traits<char>::assign(text, size, 'x');
  text[size] = '\0';
  ErrorContextCallback callback{error_context_stack, TakeMemoryAway, nullptr};
  error_context_stack = &callback;
  ereport(ERROR,
          (errcode(ERRCODE_CHECK_VIOLATION), errmsg("message"), errdetail_internal("%s", text)));
}

const char* TextArgument(FunctionCallInfo fcinfo, int number) {
  return text_to_cstring(PG_GETARG_TEXT_PP(number));
}

}  // namespace

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(living_objects) { PG_RETURN_INT32(teamscale::living); }

TEAMSCALE_SQL_FUNCTION(run_sql_below) {
  using namespace teamscale;
  const char* sql = TextArgument(fcinfo, 1);
  int frames = PG_GETARG_INT32(0);
  EnterFromPostgres([=] { RunSqlBelow(frames, sql); });
  PG_RETURN_VOID();
}

TEAMSCALE_SQL_FUNCTION(throw_exception) {
  using namespace teamscale;
  const char* kind = TextArgument(fcinfo, 0);
  EnterFromPostgres([kind] { Throw(kind); });
  PG_RETURN_VOID();
}

TEAMSCALE_SQL_FUNCTION(throw_within_postgres) {
  using namespace teamscale;
  const char* kind = TextArgument(fcinfo, 0);
  EnterFromPostgres([kind] {
    Witness witness;
    CallPostgres([kind] { Throw(kind); });
  });
  PG_RETURN_VOID();
}

// The handler that PostgreSQL would jump to must be the one of the caller's frame again.
TEAMSCALE_SQL_FUNCTION(handler_is_restored) {
  using namespace teamscale;
  sigjmp_buf* handler = PG_exception_stack;
  ErrorContextCallback* callbacks = error_context_stack;
  bool restored = EnterFromPostgres([=] {
    try {
      CallPostgres([] {
        ErrorContextCallback callback{error_context_stack, [](void*) {}, nullptr};
        error_context_stack = &callback;
        throw 42;
      });
    } catch (int) {
      return PG_exception_stack == handler && error_context_stack == callbacks;
    }
    return false;
  });
  PG_RETURN_BOOL(restored);
}

TEAMSCALE_SQL_FUNCTION(wait_forever) {
  using namespace teamscale;
  EnterFromPostgres([] {
    Witness witness;
    CallPostgres([] { WaitForever(); });
  });
  PG_RETURN_VOID();
}

TEAMSCALE_SQL_FUNCTION(message_of_failed_sql) {
  using namespace teamscale;
  const char* sql = TextArgument(fcinfo, 0);
  const char* message = EnterFromPostgres([sql] {
    std::string found = MessageOfFailedSql(sql);
    const char* text = found.c_str();
    return CallPostgres([text] { return static_cast<const char*>(pstrdup(text)); });
  });
  PG_RETURN_TEXT_P(cstring_to_text(message));
}

TEAMSCALE_SQL_FUNCTION(raise_without_memory) {
  using namespace teamscale;
  EnterFromPostgres([] {
    Witness witness;
    try {
      CallPostgres([] { RaiseWithoutMemory(); });
    } catch (...) {
      GiveMemoryBack();
      throw;
    }
  });
  PG_RETURN_VOID();
}

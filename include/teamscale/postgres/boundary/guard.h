// The two guards between PostgreSQL's longjmp and C++ exceptions.
//
// A PostgreSQL error is a longjmp: it must not pass over a C++ object that has a destructor. A C++
// exception must not leave a C++ frame into PostgreSQL. So code of the adapters is written in one
// of two dialects, and a function keeps to one of them:
//
//   plain     no local has a destructor; memory is palloc'd; PostgreSQL is called directly.
//   guarded   locals may have destructors; PostgreSQL is called through CallPostgres, which turns
//             its error into a PostgresError that carries the whole ErrorData.
//
// EnterFromPostgres is the way from PostgreSQL (an SQL function, a hook, a callback) into the
// guarded dialect: it leaves the catch block first and raises then, so that every destructor ran.
// Neither guard swallows an error: the transaction is always aborted in the end. Code that catches
// a PostgresError throws it on, or has rolled back the subtransaction that it was raised in.
//
// A callback that PostgreSQL runs while another error is on its way (PG_CATCH, the reset of a
// memory context) must not let CallPostgres meet an error: there is one error state, and it would
// be lost.
#pragma once

#include "teamscale/postgres/boundary/server.h"

#include <exception>
#include <type_traits>
#include <utility>

namespace teamscale {

// A PostgreSQL error on its way through C++ frames. The ErrorData lives in the memory context that
// was current when CallPostgres was entered.
class PostgresError : public std::exception {
 public:
  explicit PostgresError(ErrorData* data) noexcept : data_(data) {}
  const char* what() const noexcept override { return data_->message ? data_->message : ""; }
  ErrorData* data() const noexcept { return data_; }

 private:
  ErrorData* data_;
};

// An error that our own guarded code finds: raised with all its parts once the frames are left.
// Messages follow PostgreSQL's style; sqlstate is an ERRCODE_... value.
class Error : public std::exception {
 public:
  Error(int sqlstate, std::string message, std::string detail = {}, std::string hint = {})
      : sqlstate_(sqlstate),
        message_(std::move(message)),
        detail_(std::move(detail)),
        hint_(std::move(hint)) {}
  const char* what() const noexcept override { return message_.c_str(); }
  int sqlstate() const noexcept { return sqlstate_; }
  const std::string& detail() const noexcept { return detail_; }
  const std::string& hint() const noexcept { return hint_; }

 private:
  int sqlstate_;
  std::string message_;
  std::string detail_;
  std::string hint_;
};

namespace guard_internal {

// What crosses from a catch block to the raise behind it: trivially destructible on purpose.
struct Pending {
  ErrorData* postgres = nullptr;
  int sqlstate = 0;
  char* message = nullptr;
  char* detail = nullptr;
  char* hint = nullptr;
};

// Fills pending from the exception being handled. Never throws and never raises.
void Describe(Pending* pending) noexcept;
[[noreturn]] void Raise(const Pending& pending);
// Runs body(argument) under PG_TRY. Throws what it raised as a PostgresError, and what it threw.
void Try(void (*body)(void*), void* argument);

}  // namespace guard_internal

// Calls PostgreSQL from guarded code. A longjmp leaves F in the middle: F must have no local with a
// destructor. F may throw; PostgreSQL's error handling is put in order before the exception goes
// on.
template <typename F>
auto CallPostgres(F&& f) -> std::invoke_result_t<F&> {
  using Result = std::invoke_result_t<F&>;
  using Function = std::remove_reference_t<F>;
  if constexpr (std::is_void_v<Result>) {
    auto body = [](void* argument) { (*static_cast<Function*>(argument))(); };
    guard_internal::Try(body, const_cast<std::remove_const_t<Function>*>(&f));
  } else {
    static_assert(std::is_trivially_copyable_v<Result>, "a longjmp would skip its destructor");
    struct Call {
      Function* function;
      Result result;
    } call{&f, {}};
    auto body = [](void* argument) {
      auto* c = static_cast<Call*>(argument);
      c->result = (*c->function)();
    };
    guard_internal::Try(body, &call);
    return call.result;
  }
}

// Runs guarded code for a caller that is PostgreSQL. Whatever is thrown becomes a PostgreSQL error.
template <typename F>
auto EnterFromPostgres(F&& f) -> std::invoke_result_t<F&> {
  guard_internal::Pending pending;
  try {
    return f();
  } catch (...) {
    guard_internal::Describe(&pending);
  }
  guard_internal::Raise(pending);
}

}  // namespace teamscale

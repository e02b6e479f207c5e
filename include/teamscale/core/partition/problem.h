// What is wrong with something that a user asked for, in the parts of a PostgreSQL error. The
// caller knows the SQLSTATE: of a value that cannot be used it is invalid_parameter_value.
#pragma once

#include <string>

namespace teamscale::core {

struct Problem {
  std::string message;
  std::string detail = {};
  std::string hint = {};

  bool operator==(const Problem&) const = default;
};

}  // namespace teamscale::core

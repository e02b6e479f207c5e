// What one remote session has prepared for us. A name is never used again: after an error it may be
// taken there or not. Guarded dialect.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "teamscale/postgres/cluster/remote.h"

namespace teamscale {

class PreparedStatements {
 public:
  // The same text under another search_path or with other parameter types is another statement.
  static std::string Key(const RemoteStatement& statement, const std::string& search_path);

  // The statement's name, and that it was used now; nothing when it is not prepared.
  std::optional<std::string> Use(const std::string& key);
  std::string NewName() { return "teamscale_" + std::to_string(++names_); }
  void Add(std::string key, std::string name);
  void Forget(const std::string& key);
  // They are gone there.
  void Clear() { entries_.clear(); }

  // Names to DEALLOCATE before another statement is prepared: the least recently used one when
  // there are as many as may be, and those that were forgotten. Each is taken for good.
  std::vector<std::string> TakeSuperfluous();

 private:
  struct Entry {
    std::string name;
    std::uint64_t last_use;
  };
  boost::unordered_flat_map<std::string, Entry> entries_;
  std::vector<std::string> superfluous_;
  std::uint64_t uses_ = 0;
  std::uint64_t names_ = 0;
};

}  // namespace teamscale

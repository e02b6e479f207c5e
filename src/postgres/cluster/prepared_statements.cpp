#include "teamscale/postgres/cluster/prepared_statements.h"

#include <algorithm>
#include <utility>

namespace teamscale {

namespace {

// What one remote backend keeps prepared for us: 10 to 300 kB each.
constexpr std::size_t kMaxPrepared = 256;

}  // namespace

std::string PreparedStatements::Key(const RemoteStatement& statement,
                                    const std::string& search_path) {
  std::string key = statement.sql;
  key.append(1, '\0').append(search_path);
  key.append(1, '\0').append(std::to_string(statement.generation));
  for (const RemoteParameter& parameter : statement.parameters)
    key.append(1, '\0').append(std::to_string(parameter.type));
  return key;
}

std::optional<std::string> PreparedStatements::Use(const std::string& key) {
  auto found = entries_.find(key);
  if (found == entries_.end()) return std::nullopt;
  found->second.last_use = ++uses_;
  return found->second.name;
}

void PreparedStatements::Add(std::string key, std::string name) {
  entries_.insert_or_assign(std::move(key), Entry{std::move(name), ++uses_});
}

void PreparedStatements::Forget(const std::string& key) {
  auto found = entries_.find(key);
  if (found == entries_.end()) return;
  superfluous_.push_back(std::move(found->second.name));
  entries_.erase(found);
}

std::vector<std::string> PreparedStatements::TakeSuperfluous() {
  if (entries_.size() >= kMaxPrepared) {
    auto oldest = std::min_element(
        entries_.begin(), entries_.end(),
        [](const auto& a, const auto& b) { return a.second.last_use < b.second.last_use; });
    superfluous_.push_back(std::move(oldest->second.name));
    entries_.erase(oldest);
  }
  return std::exchange(superfluous_, {});
}

}  // namespace teamscale

#include "teamscale/core/cluster/settlement.h"

#include <algorithm>
#include <charconv>

namespace teamscale::core {

namespace {

// Takes the number that text begins with, up to the delimiter or the end.
bool TakeNumber(std::string_view& text, char delimiter, std::uint64_t& value) {
  std::size_t length = std::min(text.find(delimiter), text.size());
  auto result = std::from_chars(text.data(), text.data() + length, value);
  if (result.ec != std::errc() || result.ptr != text.data() + length) return false;
  text.remove_prefix(std::min(length + 1, text.size()));
  return true;
}

}  // namespace

std::optional<Snapshot> Snapshot::Parse(std::string_view text) {
  // Both colons are there even when nothing follows the second.
  if (std::count(text.begin(), text.end(), ':') != 2) return std::nullopt;
  Snapshot snapshot;
  if (!TakeNumber(text, ':', snapshot.xmin_) || !TakeNumber(text, ':', snapshot.xmax_))
    return std::nullopt;
  while (!text.empty()) {
    std::uint64_t transaction;
    if (!TakeNumber(text, ',', transaction)) return std::nullopt;
    snapshot.in_progress_.push_back(transaction);
  }
  std::sort(snapshot.in_progress_.begin(), snapshot.in_progress_.end());
  return snapshot;
}

bool Snapshot::HasEnded(std::uint64_t transaction) const {
  if (transaction < xmin_) return true;
  if (transaction >= xmax_) return false;
  return !std::binary_search(in_progress_.begin(), in_progress_.end(), transaction);
}

Settlement Settle(const Gid& gid, bool recorded, std::uint64_t current_boot,
                  const Snapshot& snapshot) {
  if (recorded) return Settlement::kCommit;
  bool ended = gid.boot != current_boot || snapshot.HasEnded(gid.transaction);
  return ended ? Settlement::kRollBack : Settlement::kLeave;
}

}  // namespace teamscale::core

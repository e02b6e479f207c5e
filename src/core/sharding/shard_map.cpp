#include "teamscale/core/sharding/shard_map.h"

#include <algorithm>
#include <bit>
#include <stdexcept>

#include "teamscale/core/sharding/bucket_hash.h"

namespace teamscale::core {

namespace {

std::uint64_t RemainderKey(std::uint32_t modulus, std::uint32_t remainder) {
  return (static_cast<std::uint64_t>(modulus) << 32) | remainder;
}

template <typename T>
void SortById(std::vector<T>& items) {
  std::sort(items.begin(), items.end(), [](const T& a, const T& b) { return a.id < b.id; });
}

template <typename T, typename Id>
const T* FindById(const std::vector<T>& items, Id id) {
  auto found = std::lower_bound(items.begin(), items.end(), id,
                                [](const T& item, Id wanted) { return item.id < wanted; });
  return found != items.end() && found->id == id ? &*found : nullptr;
}

}  // namespace

ShardMap::ShardMap(std::int64_t epoch, NodeId local_node, std::vector<Node> nodes,
                   std::vector<Group> groups, std::vector<Bucket> buckets,
                   std::vector<Table> tables)
    : epoch_(epoch),
      local_node_(local_node),
      nodes_(std::move(nodes)),
      buckets_(std::move(buckets)),
      tables_(std::move(tables)) {
  SortById(nodes_);
  SortById(buckets_);
  SortById(tables_);
  for (Group& group : groups) groups_[group.id].group = std::move(group);

  for (std::uint32_t i = 0; i < buckets_.size(); ++i) {
    const Bucket& bucket = buckets_[i];
    auto group = groups_.find(bucket.group);
    if (group == groups_.end()) throw std::invalid_argument("a bucket has no colocation group");
    if (!FindNode(bucket.node)) throw std::invalid_argument("a bucket is placed on no node");
    GroupIndex& index = group->second;
    if (index.group.method == Method::kHash) {
      if (!std::has_single_bit(bucket.modulus) || bucket.remainder >= bucket.modulus)
        throw std::invalid_argument("a bucket's modulus is no power of two above its remainder");
      if (!index.by_remainder.emplace(RemainderKey(bucket.modulus, bucket.remainder), i).second)
        throw std::invalid_argument("two buckets have the same remainder");
      auto place = std::lower_bound(index.moduli.begin(), index.moduli.end(), bucket.modulus);
      if (place == index.moduli.end() || *place != bucket.modulus)
        index.moduli.insert(place, bucket.modulus);
    } else {
      if (bucket.values.size() != bucket.value_hashes.size())
        throw std::invalid_argument("a list bucket's values and their hashes differ in number");
      for (std::size_t v = 0; v < bucket.value_hashes.size(); ++v)
        index.by_value[bucket.value_hashes[v]].push_back({&bucket, v});
    }
  }
  for (std::uint32_t i = 0; i < tables_.size(); ++i) {
    if (!groups_.contains(tables_[i].group))
      throw std::invalid_argument("a sharded table has no colocation group");
    table_of_relation_.emplace(tables_[i].relation, i);
  }
}

const Node* ShardMap::FindNode(NodeId id) const { return FindById(nodes_, id); }

const Node* ShardMap::FindNode(std::string_view name) const {
  auto found = std::find_if(nodes_.begin(), nodes_.end(),
                            [name](const Node& node) { return node.name == name; });
  return found != nodes_.end() ? &*found : nullptr;
}

const Group* ShardMap::FindGroup(GroupId id) const {
  auto found = groups_.find(id);
  return found != groups_.end() ? &found->second.group : nullptr;
}

const Bucket* ShardMap::FindBucket(BucketId id) const { return FindById(buckets_, id); }

const Table* ShardMap::FindTable(RelationId relation) const {
  auto found = table_of_relation_.find(relation);
  return found != table_of_relation_.end() ? &tables_[found->second] : nullptr;
}

const Bucket* ShardMap::FindHashBucket(GroupId group, std::uint64_t row_hash) const {
  auto found = groups_.find(group);
  if (found == groups_.end()) return nullptr;
  const GroupIndex& index = found->second;
  for (std::uint32_t modulus : index.moduli) {
    auto bucket = index.by_remainder.find(RemainderKey(modulus, Remainder(row_hash, modulus)));
    if (bucket != index.by_remainder.end()) return &buckets_[bucket->second];
  }
  return nullptr;
}

std::span<const ListCandidate> ShardMap::FindListCandidates(GroupId group,
                                                            std::uint64_t value_hash) const {
  auto found = groups_.find(group);
  if (found == groups_.end()) return {};
  auto candidates = found->second.by_value.find(value_hash);
  if (candidates == found->second.by_value.end()) return {};
  return candidates->second;
}

}  // namespace teamscale::core

// The routing map of one node: nodes, colocation groups, buckets, placements and sharded tables, as
// of one epoch. Immutable once built; a backend replaces the whole map when the catalog changes.
//
// Terms: a *bucket* is a part of the key space of a *colocation group*; a *placement* says which
// *node* holds a bucket; the tables of a group have the same buckets in the same places.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace teamscale::core {

using NodeId = std::int32_t;
using GroupId = std::int32_t;
using BucketId = std::int32_t;
using TableId = std::int32_t;
// The server's OID of a relation on this node; it differs from node to node.
using RelationId = std::uint32_t;

enum class NodeState { kActive, kDisabled };
enum class Method { kHash, kList };

struct Node {
  NodeId id = 0;
  std::string name;
  std::string conninfo = {};
  std::string region = {};
  NodeState state = NodeState::kActive;
};

// A hash bucket has modulus and remainder. A list bucket has the values that it holds, in their
// text form, and the extended hash of each (see bucket_hash.h) in the same order.
struct Bucket {
  BucketId id = 0;
  GroupId group = 0;
  NodeId node = 0;
  std::uint32_t modulus = 0;
  std::uint32_t remainder = 0;
  std::vector<std::string> values = {};
  std::vector<std::uint64_t> value_hashes = {};
};

// A place in a list bucket where a value with a given hash may stand.
struct ListCandidate {
  const Bucket* bucket = nullptr;
  std::size_t value = 0;  // index into its values
};

struct Group {
  GroupId id = 0;
  Method method = Method::kHash;
};

struct Table {
  TableId id = 0;
  RelationId relation = 0;
  GroupId group = 0;
};

class ShardMap {
 public:
  // Throws std::invalid_argument when the parts contradict each other (a modulus that is no power
  // of two, a bucket without its group or node, two buckets for one remainder).
  ShardMap(std::int64_t epoch, NodeId local_node, std::vector<Node> nodes,
           std::vector<Group> groups, std::vector<Bucket> buckets, std::vector<Table> tables);

  std::int64_t epoch() const { return epoch_; }
  NodeId local_node() const { return local_node_; }
  const std::vector<Node>& nodes() const { return nodes_; }        // by id
  const std::vector<Bucket>& buckets() const { return buckets_; }  // by id
  const std::vector<Table>& tables() const { return tables_; }     // by id

  const Node* FindNode(NodeId id) const;
  const Node* FindNode(std::string_view name) const;
  const Group* FindGroup(GroupId id) const;
  const Bucket* FindBucket(BucketId id) const;
  const Table* FindTable(RelationId relation) const;

  // The hash bucket of a row hash, or null when no bucket covers it.
  const Bucket* FindHashBucket(GroupId group, std::uint64_t row_hash) const;
  // Where the list value with this extended hash may be placed; the caller compares the values.
  std::span<const ListCandidate> FindListCandidates(GroupId group, std::uint64_t value_hash) const;

 private:
  struct GroupIndex {
    Group group;
    std::vector<std::uint32_t> moduli;  // distinct, ascending
    boost::unordered_flat_map<std::uint64_t, std::uint32_t> by_remainder;
    boost::unordered_flat_map<std::uint64_t, std::vector<ListCandidate>> by_value;
  };

  std::int64_t epoch_;
  NodeId local_node_;
  std::vector<Node> nodes_;
  std::vector<Bucket> buckets_;
  std::vector<Table> tables_;
  boost::unordered_flat_map<GroupId, GroupIndex> groups_;
  boost::unordered_flat_map<RelationId, std::uint32_t> table_of_relation_;
};

}  // namespace teamscale::core

// The arithmetic that takes a key's hash to a bucket: PostgreSQL's own partition hash, so that the
// database itself enforces what the router computes (satisfies_hash_partition agrees).
//
// A bucket is a pair (modulus, remainder). A row with one partition key column belongs to it when
//
//   hash_combine64(0, hashextended(value, kPartitionSeed)) % modulus == remainder
//
// where hashextended is the extended hash function of the key's type (support function 2 of its
// hash operator class). From src/backend/partitioning/partbounds.c and common/hashfn.h.
#pragma once

#include <cstdint>

namespace teamscale::core {

// HASH_PARTITION_SEED of PostgreSQL: part of its on-disk format.
inline constexpr std::uint64_t kPartitionSeed = 0x7A5B22367996DCFD;

// hash_combine64 of PostgreSQL.
constexpr std::uint64_t CombineHash(std::uint64_t seed, std::uint64_t hash) {
  return seed ^ (hash + 0x49a0f4dd15e5a8e3 + (seed << 54) + (seed >> 7));
}

// The row hash of a partition key of one column, from that column's extended hash.
constexpr std::uint64_t RowHash(std::uint64_t column_hash) { return CombineHash(0, column_hash); }

constexpr std::uint32_t Remainder(std::uint64_t row_hash, std::uint32_t modulus) {
  return static_cast<std::uint32_t>(row_hash % modulus);
}

}  // namespace teamscale::core

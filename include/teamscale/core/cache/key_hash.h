// Hashes of keys whose equal values have equal bytes. Only kept in memory, and only as long as the
// server runs: free to change with any version.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>

namespace teamscale::core {

// Every bit of the number reaches every bit of the hash (a finalizer of splitmix64).
constexpr std::uint64_t Mix(std::uint64_t number) {
  number ^= number >> 30;
  number *= 0xbf58476d1ce4e5b9;
  number ^= number >> 27;
  number *= 0x94d049bb133111eb;
  return number ^ (number >> 31);
}

constexpr std::uint64_t Combine(std::uint64_t hash, std::uint64_t other) {
  return Mix(hash + 0x9e3779b97f4a7c15 + other);
}

inline std::uint64_t HashBytes(std::span<const std::byte> bytes) {
  std::uint64_t hash = bytes.size();
  while (!bytes.empty()) {
    std::uint64_t word = 0;
    std::size_t size = bytes.size() < sizeof(word) ? bytes.size() : sizeof(word);
    std::memcpy(&word, bytes.data(), size);
    hash = Combine(hash, word);
    bytes = bytes.subspan(size);
  }
  return hash;
}

}  // namespace teamscale::core

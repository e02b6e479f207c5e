// The version of a table's schema, as its events refer to it: a digest of what describes the
// table's columns. The same on every node and in every replay. (FNV-1a, 64 bits: stable for ever.)
#pragma once

#include <cstdint>
#include <string_view>

namespace teamscale::core {

class SchemaVersion {
 public:
  void Add(std::string_view part) {
    for (char c : part) Mix(static_cast<unsigned char>(c));
    Mix(0);  // so that no two lists of parts run together alike
  }
  std::uint64_t value() const { return hash_; }

 private:
  void Mix(unsigned char byte) { hash_ = (hash_ ^ byte) * 0x100000001b3; }

  std::uint64_t hash_ = 0xcbf29ce484222325;
};

}  // namespace teamscale::core

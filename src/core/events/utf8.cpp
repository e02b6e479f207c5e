#include "teamscale/core/events/utf8.h"

#include <cstdint>
#include <cstring>

namespace teamscale::core {

namespace {

// Eight bytes of ASCII, none of them zero.
bool PlainAscii(const char* in) {
  std::uint64_t eight;
  std::memcpy(&eight, in, 8);
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  return ((eight | (eight - kOnes)) & (kOnes * 0x80)) == 0;
}

// The length of the character that begins here; 0 when it is none.
int CharacterLength(const unsigned char* in, std::ptrdiff_t left) {
  unsigned char lead = in[0];
  if (lead < 0x80) return lead != 0 ? 1 : 0;
  int length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || left < length) return 0;
  for (int i = 1; i < length; ++i)
    if ((in[i] & 0xc0) != 0x80) return 0;
  if (lead == 0xe0 && in[1] < 0xa0) return 0;
  if (lead == 0xed && in[1] > 0x9f) return 0;
  if (lead == 0xf0 && in[1] < 0x90) return 0;
  if (lead == 0xf4 && in[1] > 0x8f) return 0;
  return length;
}

}  // namespace

bool IsUtf8(std::string_view bytes) {
  const char* in = bytes.data();
  const char* end = in + bytes.size();
  while (in < end) {
    if (end - in >= 8 && PlainAscii(in)) {
      in += 8;
      continue;
    }
    int length = CharacterLength(reinterpret_cast<const unsigned char*>(in), end - in);
    if (length == 0) return false;
    in += length;
  }
  return true;
}

}  // namespace teamscale::core

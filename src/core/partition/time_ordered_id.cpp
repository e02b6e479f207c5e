#include "teamscale/core/partition/time_ordered_id.h"

#include <cstddef>

#include "teamscale/core/partition/civil_time.h"

namespace teamscale::core {

namespace {

constexpr std::string_view kCrockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr std::size_t kUlidTime = 10;
constexpr std::size_t kUlidLength = 26;

std::string Hex(std::int64_t value, std::size_t digits) {
  std::string text(digits, '0');
  for (std::size_t i = digits; i-- > 0; value >>= 4) text[i] = "0123456789abcdef"[value & 15];
  return text;
}

}  // namespace

std::string FirstUuidOf(Point point) {
  std::string time = Hex(point / kMillisecond, 12);
  return time.substr(0, 8) + "-" + time.substr(8) + "-0000-0000-000000000000";
}

std::string FirstUlidOf(Point point) {
  std::string text(kUlidLength, '0');
  std::int64_t milliseconds = point / kMillisecond;
  for (std::size_t i = kUlidTime; i-- > 0; milliseconds >>= 5)
    text[i] = kCrockford[static_cast<std::size_t>(milliseconds & 31)];
  return text;
}

Point PointOfUuid(const UuidBytes& uuid) {
  std::int64_t milliseconds = 0;
  for (std::size_t i = 0; i < 6; i++) milliseconds = milliseconds << 8 | uuid[i];
  return milliseconds * kMillisecond;
}

Point PointOfUlid(std::string_view text) {
  std::int64_t milliseconds = 0;
  std::size_t i = 0;
  for (; i < kUlidTime && i < text.size(); i++) {
    // How many characters of the alphabet are not greater than this one, as bytes.
    auto byte = static_cast<unsigned char>(text[i]);
    std::int64_t not_greater = 0;
    for (char letter : kCrockford)
      if (static_cast<unsigned char>(letter) <= byte) not_greater++;
    bool is_letter = not_greater > 0 && kCrockford[static_cast<std::size_t>(not_greater - 1)] ==
                                            static_cast<char>(byte);
    if (is_letter) {
      milliseconds = milliseconds << 5 | (not_greater - 1);
      continue;
    }
    // All that goes on with the letter before this byte is less, all with the one after it greater.
    std::size_t rest = kUlidTime - i;
    milliseconds = ((milliseconds << 5) + not_greater) << 5 * (rest - 1);
    if (not_greater > 0) milliseconds--;
    i = kUlidTime;
    break;
  }
  if (i < kUlidTime) milliseconds <<= 5 * (kUlidTime - i);
  if (milliseconds < 0) return 0;
  if (milliseconds >= kTimeOrderedIdMilliseconds) milliseconds = kTimeOrderedIdMilliseconds - 1;
  return milliseconds * kMillisecond;
}

}  // namespace teamscale::core

#include <algorithm>

#include "io/hdf5/filters/filters.h"

namespace lockstep::filters {

namespace {

/// Fletcher's checksum over big-endian words of 16 bits, as HDF5 computes it.
uint32_t fletcher32(std::span<const std::byte> bytes) {
  constexpr size_t kWordsAtOnce = 360;  // more would overflow the sums
  uint32_t sum = 0, sum_of_sums = 0;
  const auto fold = [](uint32_t value) { return (value & 0xFFFF) + (value >> 16); };
  size_t at = 0;
  for (size_t words = bytes.size() / 2; words > 0;) {
    const size_t count = std::min(words, kWordsAtOnce);
    for (size_t i = 0; i < count; ++i, at += 2) {
      sum += static_cast<uint32_t>(bytes[at]) << 8 | static_cast<uint32_t>(bytes[at + 1]);
      sum_of_sums += sum;
    }
    sum = fold(sum);
    sum_of_sums = fold(sum_of_sums);
    words -= count;
  }
  if (bytes.size() % 2 == 1) {
    sum += static_cast<uint32_t>(bytes[at]) << 8;
    sum_of_sums += sum;
    sum = fold(sum);
    sum_of_sums = fold(sum_of_sums);
  }
  return fold(sum_of_sums) << 16 | fold(sum);
}

}  // namespace

std::span<const std::byte> checked_fletcher32(std::span<const std::byte> in) {
  constexpr size_t kBytes = 4;
  if (in.size() < kBytes) throw BadChunk("it is too short for its checksum");
  const auto values = in.first(in.size() - kBytes);
  const auto stored = in.last(kBytes);
  uint32_t wanted = 0;
  for (size_t i = 0; i < kBytes; ++i) wanted |= static_cast<uint32_t>(stored[i]) << 8 * i;
  const uint32_t found = fletcher32(values);
  // Before HDF5 1.6.3, big-endian machines wrote the two bytes of each half in reverse order.
  const uint32_t swapped = (found & 0x00FF00FF) << 8 | (found >> 8 & 0x00FF00FF);
  if (wanted != found && wanted != swapped) throw BadChunk("its checksum does not agree with its values");
  return values;
}

}  // namespace lockstep::filters

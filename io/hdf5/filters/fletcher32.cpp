#include <algorithm>
#include <cstring>

#include "io/hdf5/filters/filters.h"

namespace lockstep::filters {

namespace {

/// Fletcher's checksum over big-endian words of 16 bits, as HDF5 computes it.
uint32_t fletcher32(std::span<const std::byte> bytes) {
  constexpr size_t kWordsAtOnce = 256;  // 360 or more would overflow the sums
  uint32_t sum = 0, sum_of_sums = 0;
  const auto fold = [](uint32_t value) { return (value & 0xFFFF) + (value >> 16); };
  size_t at = 0;
  for (size_t words = bytes.size() / 2; words > 0;) {
    // Word i of `count` is in count - i of the sums that are added up: so neither loop-carried sum depends on
    // the other, and the loop is vectorized.
    const auto count = static_cast<uint32_t>(std::min(words, kWordsAtOnce));
    uint32_t plain = 0, weighted = 0;
    for (uint32_t i = 0; i < count; ++i) {
      uint16_t word = 0;
      std::memcpy(&word, bytes.data() + at + size_t{2} * i, sizeof(word));
      word = __builtin_bswap16(word);
      plain += word;
      weighted += word * (count - i);
    }
    sum_of_sums = fold(sum_of_sums + count * sum + weighted);
    sum = fold(sum + plain);
    at += size_t{2} * count;
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

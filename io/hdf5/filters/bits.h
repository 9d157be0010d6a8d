#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "io/hdf5/filters/filters.h"

namespace lockstep::filters {

/// Reads numbers of any width in bits, most significant bit first. Beyond the end it reads zeros.
class BitReader {
 public:
  explicit BitReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  /// count: 1 to 64.
  uint64_t take(unsigned count) {
    uint64_t value = 0;
    while (count > 0) {
      if (bits_ == 0) {
        byte_ = at_ < bytes_.size() ? static_cast<unsigned>(bytes_[at_++]) : 0;
        bits_ = 8;
      }
      const unsigned part = std::min(count, bits_);
      value = value << part | (byte_ >> (bits_ - part) & ((1u << part) - 1));
      bits_ -= part;
      count -= part;
    }
    return value;
  }

 private:
  std::span<const std::byte> bytes_;
  size_t at_ = 0;
  unsigned byte_ = 0, bits_ = 0;
};

/// Reads bytes one after another. Throws BadChunk(problem) at the end.
class ByteReader {
 public:
  ByteReader(std::span<const std::byte> bytes, const char* problem) : bytes_(bytes), problem_(problem) {}

  std::span<const std::byte> take(uint64_t count) {
    if (count > bytes_.size()) throw BadChunk(problem_);
    const auto taken = bytes_.first(count);
    bytes_ = bytes_.subspan(count);
    return taken;
  }
  /// A number of up to 8 bytes, most significant byte first.
  uint64_t big_endian(size_t count) {
    uint64_t value = 0;
    for (const std::byte byte : take(count)) value = value << 8 | static_cast<uint64_t>(byte);
    return value;
  }

 private:
  std::span<const std::byte> bytes_;
  const char* problem_;
};

/// Whether `bytes` hold `count` numbers of `bits` bits.
inline bool holds(std::span<const std::byte> bytes, size_t count, unsigned bits) {
  return static_cast<double>(count) * bits <= static_cast<double>(bytes.size()) * 8;
}

/// Writes the low `out.size()` bytes of a number.
inline void put_number(uint64_t value, bool big_endian, std::span<std::byte> out) {
  for (size_t i = 0; i < out.size(); ++i)
    out[big_endian ? out.size() - 1 - i : i] = static_cast<std::byte>(value >> 8 * i);
}

}  // namespace lockstep::filters

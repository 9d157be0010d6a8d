#include <fmt/format.h>

#include <cstring>

#include "io/hdf5/filters/filters.h"

namespace lockstep::filters {

namespace {

/// Copies `length` bytes from `distance` before `at`. The two ranges may overlap: then the bytes repeat.
void copy_back(std::byte* at, size_t distance, size_t length) {
  const std::byte* from = at - distance;
  if (distance >= length) {
    std::memcpy(at, from, length);
    return;
  }
  for (size_t i = 0; i < length; ++i) at[i] = from[i];
}

}  // namespace

// A control byte below 32 begins a literal run of that many bytes plus one. Any other begins a copy of
// earlier output: 3 bits of length (7: another byte of length follows) and 13 bits of distance.
size_t decode_lzf(std::span<const std::byte> in, std::span<std::byte> out) {
  constexpr size_t kLiteral = 32, kLongCopy = 7;
  const auto require = [](bool holds, const char* what) {
    if (!holds) throw BadChunk(what);
  };
  size_t read = 0, written = 0;
  const auto next = [&] {
    require(read < in.size(), "its lzf data is cut short");
    return static_cast<size_t>(in[read++]);
  };
  const auto require_room = [&](size_t length) {
    if (length > out.size() - written)
      throw BadChunk(fmt::format("its lzf data decodes to more than {} bytes", out.size()));
  };
  while (read < in.size()) {
    const size_t control = next();
    if (control < kLiteral) {
      const size_t length = control + 1;
      require(length <= in.size() - read, "its lzf data is cut short");
      require_room(length);
      std::memcpy(out.data() + written, in.data() + read, length);
      read += length;
      written += length;
      continue;
    }
    size_t length = control >> 5;
    if (length == kLongCopy) length += next();
    length += 2;
    const size_t distance = ((control & 0x1F) << 8) + next() + 1;
    require(distance <= written, "its lzf data is damaged");
    require_room(length);
    copy_back(out.data() + written, distance, length);
    written += length;
  }
  return written;
}

}  // namespace lockstep::filters

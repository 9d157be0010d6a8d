#include <fmt/format.h>
#include <lz4.h>

#include <algorithm>
#include <cstring>

#include "io/hdf5/filters/bits.h"
#include "io/hdf5/filters/filters.h"

namespace lockstep::filters {

void decode_lz4_block(std::span<const std::byte> in, std::span<std::byte> out) {
  if (in.size() > LZ4_MAX_INPUT_SIZE || out.size() > LZ4_MAX_INPUT_SIZE)
    throw BadChunk("a block of its lz4 data is larger than 2 GiB");
  const int written =
      LZ4_decompress_safe(reinterpret_cast<const char*>(in.data()), reinterpret_cast<char*>(out.data()),
                          static_cast<int>(in.size()), static_cast<int>(out.size()));
  if (written < 0 || static_cast<size_t>(written) != out.size()) throw BadChunk("its lz4 data is damaged");
}

// The size of the values (8 bytes) and of a block of them (4), then each block: its stored size (4) and
// bytes, which are the values themselves where that is not larger.
size_t decode_lz4(std::span<const std::byte> in, std::span<std::byte> out) {
  ByteReader reader(in, "its lz4 data is cut short");
  const uint64_t size = reader.big_endian(8), block = reader.big_endian(4);
  if (size > out.size()) throw BadChunk(fmt::format("its lz4 data decodes to {} bytes", size));
  if (size > 0 && block == 0) throw BadChunk("its lz4 data is damaged");
  for (uint64_t done = 0; done < size;) {
    const auto to = out.subspan(done, std::min(block, size - done));
    const auto stored = reader.take(reader.big_endian(4));
    if (stored.size() == to.size())
      std::memcpy(to.data(), stored.data(), to.size());
    else
      decode_lz4_block(stored, to);
    done += to.size();
  }
  return size;
}

}  // namespace lockstep::filters

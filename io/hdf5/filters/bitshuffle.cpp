#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "io/hdf5/filters/bits.h"
#include "io/hdf5/filters/filters.h"

namespace lockstep::filters {

namespace {

constexpr size_t kGroup = 8;  ///< elements whose bits share a byte

/// Exchanges, in each byte of 8 rows, bit i of row j with bit j of row i: rows of bits become bytes. `count`
/// bytes in each row, `stride` apart; byte i of output j goes to out[i * 8 + j].
void transpose_bits(const std::byte* rows, size_t stride, size_t count, std::byte* out) {
  const auto* in = reinterpret_cast<const uint8_t*>(rows);
  auto* to = reinterpret_cast<uint8_t*>(out);
  for (size_t i = 0; i < count; ++i) {
    uint64_t bits = 0;
    for (size_t row = 0; row < kGroup; ++row) bits |= uint64_t{in[row * stride + i]} << 8 * row;
    const auto exchange = [&](unsigned distance, uint64_t mask) {
      const uint64_t differing = (bits ^ bits >> distance) & mask;
      bits ^= differing ^ differing << distance;
    };
    exchange(7, 0x00AA00AA00AA00AA);
    exchange(14, 0x0000CCCC0000CCCC);
    exchange(28, 0x00000000F0F0F0F0);
    std::memcpy(to + i * kGroup, &bits, sizeof(bits));
  }
}

/// Undoes bitshuffle for a block, whose elements are a multiple of 8: its rows hold one bit of each of them.
void unshuffle_block(std::span<const std::byte> in, size_t element, std::vector<std::byte>& scratch,
                     std::span<std::byte> out) {
  const size_t elements = in.size() / element;
  scratch.resize(in.size());
  for (size_t byte = 0; byte < element; ++byte)
    transpose_bits(in.data() + byte * elements, elements / kGroup, elements / kGroup,
                   scratch.data() + byte * elements);
  unshuffle(scratch, element, out);
}

}  // namespace

void decode_bitshuffle(std::span<const std::byte> in, std::span<const unsigned> settings,
                       std::span<std::byte> out) {
  enum { kElement = 2, kBlock = 3, kCompressor = 4, kRequired = 3 };
  enum { kPlain = 0, kLz4 = 2, kZstd = 3 };
  constexpr size_t kBlockBytes = 8192, kMinBlock = 128;
  constexpr const char *kCutShort = "its bitshuffle data is cut short",
                       *kBadSettings = "the settings of its bitshuffle filter are damaged";
  const auto setting = [&](size_t index) { return index < settings.size() ? settings[index] : 0; };
  const size_t element = setting(kElement);
  const unsigned compressor = setting(kCompressor);
  if (settings.size() < kRequired || element == 0) throw BadChunk(kBadSettings);
  ByteReader reader(in, kCutShort);
  size_t block = setting(kBlock);
  if (compressor != kPlain) {  // the size of the values, and of a block in bytes
    if (const uint64_t size = reader.big_endian(8); size != out.size())
      throw BadChunk(fmt::format("its bitshuffle data decodes to {} bytes", size));
    block = reader.big_endian(4) / element;
  } else if (in.size() != out.size()) {
    throw BadChunk("its bitshuffle data has another size than its values");
  }
  if (block == 0) block = std::max(kBlockBytes / element / kGroup * kGroup, kMinBlock);
  if (block % kGroup != 0) throw BadChunk(kBadSettings);
  std::vector<std::byte> scratch, rows;
  size_t done = 0;
  for (size_t left = out.size() / element / kGroup * kGroup; left > 0;) {
    const size_t elements = std::min(block, left), bytes = elements * element;
    std::span<const std::byte> shuffled;
    if (compressor == kPlain) {
      shuffled = reader.take(bytes);
    } else {
      const auto stored = reader.take(reader.big_endian(4));
      rows.resize(bytes);
      shuffled = rows;
      if (compressor == kLz4)
        decode_lz4_block(stored, rows);
      else if (compressor != kZstd || decode_zstd(stored, rows) != bytes)
        throw BadChunk("its bitshuffle data is damaged");
    }
    unshuffle_block(shuffled, element, scratch, out.subspan(done, bytes));
    done += bytes;
    left -= elements;
  }
  const auto rest = reader.take(out.size() - done);  // fewer than 8 elements, as they are
  std::copy(rest.begin(), rest.end(), out.begin() + static_cast<std::ptrdiff_t>(done));
}

}  // namespace lockstep::filters

#include "io/hdf5/filters/filters.h"

#if LOCKSTEP_HAS_AEC

#include <fmt/format.h>
#include <libaec.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>

namespace lockstep::filters {

namespace {

/// The filter's settings in the file (H5Zszip.c), as far as a decoder needs them.
struct SzipSettings {
  bool most_significant_first = false, predicted = false;
  /// Numbers of more than 24 bits are stored byte by byte, as `unshuffle` describes it.
  bool is_shuffled = false;
  unsigned bits = 0;             ///< of a pixel
  size_t pixel = 0, number = 0;  ///< bytes
  unsigned block = 0, line = 0;  ///< in pixels: coded together; predicted from each other

  /// Pixels of a line in the stream, which holds whole blocks.
  size_t padded_line() const { return (line + block - 1) / block * size_t{block}; }
};

SzipSettings szip_settings(std::span<const unsigned> settings) {
  enum { kOptions, kBlock, kBits, kLine, kSettings };
  constexpr unsigned kMostSignificantFirst = 16, kNearestNeighbour = 32, kMaxBlock = 32, kMaxBlocks = 128,
                     kMaxPixelBits = 24;
  const auto require = [](bool holds) {
    if (!holds) throw BadChunk("the settings of its szip filter are damaged");
  };
  require(settings.size() >= kSettings);
  SzipSettings result;
  result.most_significant_first = (settings[kOptions] & kMostSignificantFirst) != 0;
  result.predicted = (settings[kOptions] & kNearestNeighbour) != 0;
  result.block = settings[kBlock];
  result.line = settings[kLine];
  require(result.block >= 2 && result.block <= kMaxBlock && result.block % 2 == 0 &&
          result.line >= result.block && result.line <= result.block * kMaxBlocks);
  const unsigned bits = settings[kBits];
  result.is_shuffled = bits == 32 || bits == 64;
  require(result.is_shuffled || (bits >= 1 && bits <= kMaxPixelBits));
  result.bits = result.is_shuffled ? 8 : bits;
  result.pixel = result.bits <= 8 ? 1 : result.bits <= 16 ? 2 : 4;
  result.number = result.is_shuffled ? bits / 8 : result.pixel;
  return result;
}

/// Fills `out` with the first pixels of the stream.
void decode_pixels(std::span<const std::byte> in, const SzipSettings& settings, std::span<std::byte> out) {
  aec_stream stream{};
  stream.next_in = reinterpret_cast<const unsigned char*>(in.data());
  stream.avail_in = in.size();
  stream.next_out = reinterpret_cast<unsigned char*>(out.data());
  stream.avail_out = out.size();
  stream.bits_per_sample = settings.bits;
  stream.block_size = settings.block;
  stream.rsi = static_cast<unsigned>(settings.padded_line() / settings.block);
  stream.flags =
      (settings.most_significant_first ? AEC_DATA_MSB : 0u) | (settings.predicted ? AEC_DATA_PREPROCESS : 0u);
  const int status = aec_buffer_decode(&stream);
  if (status == AEC_MEM_ERROR) throw std::bad_alloc();
  if (status != AEC_OK) throw BadChunk("its szip data is damaged");
  if (stream.total_out != out.size()) throw BadChunk("its szip data is cut short");
}

}  // namespace

bool has_szip() { return true; }

size_t decode_szip(std::span<const std::byte> in, std::span<const unsigned> settings,
                   std::span<std::byte> out) {
  constexpr size_t kHeader = 4;  // the decoded size
  const SzipSettings szip = szip_settings(settings);
  if (in.size() < kHeader) throw BadChunk("its szip data is cut short");
  size_t bytes = 0;
  for (size_t i = 0; i < kHeader; ++i) bytes |= static_cast<size_t>(in[i]) << 8 * i;
  in = in.subspan(kHeader);
  if (bytes > out.size() || bytes % szip.number != 0)
    throw BadChunk(fmt::format("its szip data decodes to {} bytes", bytes));
  if (bytes == 0) return 0;
  const size_t line = szip.line * szip.pixel, padded = szip.padded_line() * szip.pixel;
  if (line == padded && !szip.is_shuffled) {
    decode_pixels(in, szip, out.first(bytes));
    return bytes;
  }
  const size_t lines = (bytes + line - 1) / line;
  const size_t decoded = (lines - 1) * padded + bytes - (lines - 1) * line;
  const auto memory = std::make_unique_for_overwrite<std::byte[]>(decoded);
  decode_pixels(in, szip, {memory.get(), decoded});
  for (size_t i = 1; i < lines && padded > line; ++i)
    std::memmove(memory.get() + i * line, memory.get() + i * padded, std::min(line, bytes - i * line));
  if (szip.is_shuffled)
    unshuffle({memory.get(), bytes}, szip.number, out.first(bytes));
  else
    std::memcpy(out.data(), memory.get(), bytes);
  return bytes;
}

}  // namespace lockstep::filters

#else

#include "src/core/error.h"

namespace lockstep::filters {

bool has_szip() { return false; }

size_t decode_szip(std::span<const std::byte>, std::span<const unsigned>, std::span<std::byte>) {
  INVARIANT(false, "this build has no decoder of szip");
  return 0;
}

}  // namespace lockstep::filters

#endif

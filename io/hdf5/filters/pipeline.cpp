#include "io/hdf5/filters/pipeline.h"

#include <fmt/format.h>

#include <utility>

#include "io/hdf5/filters/filters.h"

namespace lockstep::filters {

namespace {

constexpr size_t kChecksumBytes = 4;

/// The maximum decoded size of a byte: a compressor has a maximum ratio, and no memory should be allocated
/// for a chunk that claims more. 0: no such limit.
double max_ratio(int id) {
  constexpr double kDeflateRatio = 1032, kLzfRatio = 88, kLz4Ratio = 255;
  switch (id) {
    case kDeflate:
      return kDeflateRatio;
    case kLzf:
      return kLzfRatio;
    case kLz4:
      return kLz4Ratio;
    default:
      return 0;
  }
}

/// Returns the bytes written. Filters other than compressors fill `out`.
size_t decode_step(const Step& step, std::span<const std::byte> in, std::span<std::byte> out) {
  switch (step.id) {
    case kDeflate:
      return inflate(in, out);
    case kLzf:
      return decode_lzf(in, out);
    case kZstd:
      return decode_zstd(in, out);
    case kLz4:
      return decode_lz4(in, out);
    case kBlosc:
      return decode_blosc(in, out);
    case kSzip:
      return decode_szip(in, step.settings, out);
    case kBitshuffle:
      decode_bitshuffle(in, step.settings, out);
      break;
    case kNbit:
      decode_nbit(in, step.settings, out);
      break;
    case kScaleOffset:
      decode_scale_offset(in, step.settings, out);
      break;
    default:
      unshuffle(in, step.settings.empty() ? 1 : step.settings[0], out);
  }
  return out.size();
}

}  // namespace

bool is_decoded_here(const Step& step) {
  constexpr size_t kNbitClass = 3;
  constexpr unsigned kNumber = 1;  // others are arrays and compounds
  switch (step.id) {
    case kDeflate:
    case kShuffle:
    case kFletcher32:
    case kLzf:
    case kScaleOffset:
    case kBlosc:
    case kLz4:
    case kBitshuffle:
    case kZstd:
      return true;
    case kSzip:
      return has_szip();
    case kNbit:
      return step.settings.size() > kNbitClass && step.settings[kNbitClass] == kNumber;
    default:
      return false;
  }
}

Pipeline::Pipeline(std::vector<Step> steps, size_t chunk_bytes)
    : steps_(std::move(steps)), chunk_bytes_(chunk_bytes), max_bytes_(chunk_bytes) {
  // Incompressible values grow slightly.
  constexpr size_t kGrowth = 8, kHeader = 1024;
  for (const Step& step : steps_)
    max_bytes_ += step.id == kFletcher32 ? kChecksumBytes : max_bytes_ / kGrowth + kHeader;
}

size_t Pipeline::bytes_before(size_t step, uint32_t skipped, bool& exact) const {
  size_t bytes = chunk_bytes_;
  exact = true;
  for (size_t i = 0; i < step; ++i) {
    if ((skipped >> i & 1) != 0) continue;
    if (steps_[i].id != kShuffle && steps_[i].id != kFletcher32) {
      exact = false;
      return max_bytes_;
    }
    if (steps_[i].id == kFletcher32) bytes += kChecksumBytes;
  }
  return bytes;
}

std::span<const std::byte> Pipeline::decode(std::span<const std::byte> stored, uint32_t skipped,
                                            Scratch& scratch, std::span<std::byte> place) const {
  // The step that is undone last writes the values where they are wanted.
  size_t last = 0;
  while (last < steps_.size() && ((skipped >> last & 1) != 0 || steps_[last].id == kFletcher32)) ++last;
  std::span<const std::byte> bytes = stored;
  Buffer *free = &scratch.first, *next_free = &scratch.second;
  for (size_t i = steps_.size(); i-- > 0;) {
    if ((skipped >> i & 1) != 0) continue;
    const Step& step = steps_[i];
    if (step.id == kFletcher32) {
      bytes = checked_fletcher32(bytes);
      continue;
    }
    bool exact = true;
    const size_t size = step.id == kShuffle ? bytes.size() : bytes_before(i, skipped, exact);
    const double ratio = max_ratio(step.id);
    if (ratio > 0 && exact && static_cast<double>(size) > ratio * static_cast<double>(bytes.size() + 64))
      throw BadChunk(fmt::format("its {} bytes cannot hold {}", bytes.size(), size));
    const std::span<std::byte> out = i == last && size == place.size() ? place : free->take(size);
    const size_t written = decode_step(step, bytes, out);
    if (exact && written != size)
      throw BadChunk(fmt::format("it decodes to {} bytes instead of {}", written, size));
    bytes = out.first(written);
    std::swap(free, next_free);
  }
  if (bytes.size() != chunk_bytes_)
    throw BadChunk(fmt::format("it decodes to {} bytes instead of {}", bytes.size(), chunk_bytes_));
  return bytes;
}

}  // namespace lockstep::filters

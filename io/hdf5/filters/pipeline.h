#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace lockstep::filters {

/// HDF5's identifiers of the filters that are decoded here.
constexpr int kDeflate = 1, kShuffle = 2, kFletcher32 = 3, kSzip = 4, kNbit = 5, kScaleOffset = 6,
              kLzf = 32000, kBlosc = 32001, kLz4 = 32004, kBitshuffle = 32008, kZstd = 32015;

/// One filter of a chunked data set and its settings, as the file holds them.
struct Step {
  int id = 0;
  std::vector<unsigned> settings;
};

/// Whether a filter with these settings is decoded here, by bounded code.
bool is_decoded_here(const Step& step);

/// Memory that grows as needed and is never cleared.
class Buffer {
 public:
  /// At least `bytes` of memory; contents are lost when it grows.
  std::span<std::byte> take(size_t bytes) {
    if (bytes > size_) {
      memory_.reset();
      size_ = 0;
      memory_ = std::make_unique_for_overwrite<std::byte[]>(bytes);
      size_ = bytes;
    }
    return {memory_.get(), bytes};
  }

 private:
  std::unique_ptr<std::byte[]> memory_;
  size_t size_ = 0;
};

/// Buffers for decoding, reused from chunk to chunk. For one thread at a time.
struct Scratch {
  Buffer stored, first, second;
};

/// Undoes the filters of chunks of one data set.
class Pipeline {
 public:
  /// steps: in the order of writing; is_decoded_here() must be true for each. chunk_bytes: of a decoded
  /// chunk.
  Pipeline(std::vector<Step> steps, size_t chunk_bytes);

  size_t chunk_bytes() const { return chunk_bytes_; }
  /// The maximum size of a valid chunk in the file.
  size_t max_stored_bytes() const { return max_bytes_; }

  /// Decodes one chunk. Bit i of `skipped` is set if step i was skipped on writing. The result has
  /// chunk_bytes() and is in `place` if that has as many, else in `scratch`, or in `stored` if nothing moved
  /// it. Throws BadChunk if the decoded size differs; `place` may be overwritten then.
  std::span<const std::byte> decode(std::span<const std::byte> stored, uint32_t skipped, Scratch& scratch,
                                    std::span<std::byte> place = {}) const;

 private:
  size_t bytes_before(size_t step, uint32_t skipped, bool& exact) const;

  std::vector<Step> steps_;
  size_t chunk_bytes_, max_bytes_;
};

}  // namespace lockstep::filters

#include "io/dataset/stored_facts.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "io/dataset/rows/block_cache.h"
#include "src/core/counted.h"
#include "src/core/hash.h"
#include "src/core/text/readable_bytes.h"

namespace lockstep {

namespace {

/// ", slowly: ..." where a sample takes long to decompress; else "".
std::string slowness(const Column& samples, double bytes) {
  // Below these limits decompression takes under 0.1 ms, or yields little more than is read.
  constexpr double kFastBytes = 0x1p16, kFastRatio = 4;
  const double decoded = samples.decoded_bytes_per_row();
  if (decoded < kFastBytes || decoded < kFastRatio * static_cast<double>(samples.row_bytes())) return "";
  return fmt::format(
      ", slowly: reading a sample of {} decompresses about {} (raise data.memory_budget to "
      "{:.0f} MiB to hold the whole data set, or rewrite the file with fewer samples per chunk)",
      readable_bytes(static_cast<int64_t>(samples.row_bytes())),
      readable_bytes(static_cast<int64_t>(decoded)), std::ceil(bytes / 0x1p20));
}

/// Of a cache that several ranks share: "; 8 share a cache of 64.0 MiB"; else "".
std::string shared_cache(const Column& samples) {
  const CacheUse cache = cache_use_of({&samples});
  if (cache.shared_by == 1) return "";
  return fmt::format("; {} share a cache of {}", cache.shared_by, readable_bytes(cache.bytes));
}

}  // namespace

CacheUse cache_use_of(const std::vector<const Column*>& columns) {
  CacheUse use;
  for (const Column* column : columns) {
    BlockCache* const cache = column->cache();
    if (cache == nullptr) continue;
    use.bytes += cache->bytes();
    use.shared_by = std::max(use.shared_by, cache->shared_by());
    use.decoded += cache->made();
  }
  return use;
}

uint64_t fingerprint_of(const Dataset& dataset, const std::string& identity) {
  constexpr int64_t kSpread = 16;
  StreamingHash hash;
  hash.update(std::as_bytes(std::span(identity)));
  const bool has_targets = dataset.target_kind() != TargetKind::none;
  std::vector<std::byte> x(static_cast<size_t>(dataset.x_shape().elements()) * size_of(dataset.x_dtype())),
      y(has_targets ? static_cast<size_t>(dataset.y_shape().elements()) * sizeof(float) : 0);
  for (int64_t i = 0; i < kSpread; ++i) {
    const int64_t index = static_cast<int64_t>(static_cast<double>(i) / (kSpread - 1) *
                                               static_cast<double>(dataset.size() - 1));
    dataset.read({&index, 1}, x.data(), has_targets ? y.data() : nullptr);
    hash.update(x);
    hash.update(y);
  }
  return hash.digest();
}

std::string stored_in_words(const Column& samples) {
  const std::string more =
      samples.files() > 1 ? fmt::format(" and {},", counted(samples.files() - 1, "more file")) : "";
  return fmt::format("{}:{}{} {} {}", samples.file(0), samples.name(), more,
                     to_string(samples.row_shape().batched(samples.rows())), samples.stored_type().name);
}

std::string place_in_words(const Column& samples, double bytes, int64_t budget) {
  if (!samples.in_memory())
    return fmt::format("streamed (larger than the memory budget of {} on each rank{}){}",
                       readable_bytes(budget), shared_cache(samples), slowness(samples, bytes));
  return fmt::format("in memory ({} {})", readable_bytes(static_cast<int64_t>(bytes)),
                     samples.shared_by() == 1
                         ? "on each rank"
                         : fmt::format("for the {} ranks of a machine", samples.shared_by()));
}

}  // namespace lockstep

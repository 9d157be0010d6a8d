#pragma once

#include <memory>

#include "io/dataset/rows/block_cache.h"
#include "io/dataset/rows/row_source.h"

namespace lockstep {

/// Rows stored in blocks, such as a row of chunks, that must be decoded. A block is decoded as a whole and
/// cached.
class ChunkedRows final : public RowSource {
 public:
  /// Block i has the key first_key + i in the cache, which may be shared with other sources.
  ChunkedRows(const StoredRows& stored, RowFormat format, std::shared_ptr<BlockCache> cache,
              int64_t first_key);

  /// Whether blocks of this data set can be cached. A block of a single piece always can, even if it exceeds
  /// the cache, because decoding it takes that memory anyway. A block of many pieces may be the whole data
  /// set, if each piece holds a few values of every row.
  static bool fits(const StoredRows& stored, size_t row_bytes, int64_t cache_bytes);

  void read(std::span<RowRequest> wanted) const override;
  bool has_blocks() const override { return true; }
  void make_block(int64_t row, std::span<std::byte> block) const override;
  double decoded_bytes_per_row() const override;
  std::string route() const override { return "chunked"; }

 private:
  void decode(int64_t first, std::span<std::byte> block) const;

  const StoredRows& stored_;
  RowFormat format_;
  std::shared_ptr<BlockCache> cache_;
  int64_t first_key_;
  int64_t block_rows_;
};

}  // namespace lockstep

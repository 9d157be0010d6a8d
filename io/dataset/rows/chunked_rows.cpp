#include "io/dataset/rows/chunked_rows.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "io/dataset/rows/stored_rows.h"

namespace lockstep {

ChunkedRows::ChunkedRows(const StoredRows& stored, RowFormat format, std::shared_ptr<BlockCache> cache,
                         int64_t first_key)
    : stored_(stored),
      format_(std::move(format)),
      cache_(std::move(cache)),
      first_key_(first_key),
      block_rows_(stored.facts().block_rows) {
  cache_->admit((stored.rows() + block_rows_ - 1) / block_rows_,
                static_cast<size_t>(block_rows_) * format_.row_bytes);
}

bool ChunkedRows::fits(const StoredRows& stored, size_t row_bytes, int64_t cache_bytes) {
  return stored.facts().block_pieces == 1 ||
         stored.facts().block_rows <= cache_bytes / static_cast<int64_t>(row_bytes);
}

double ChunkedRows::decoded_bytes_per_row() const {
  const double block = static_cast<double>(block_rows_) * static_cast<double>(format_.row_bytes);
  return stored_.decoded_bytes_per_row(
      std::max(1.0, std::floor(static_cast<double>(cache_->capacity()) / block)));
}

void ChunkedRows::decode(int64_t first, std::span<std::byte> block) const {
  const int64_t count = std::min(block_rows_, stored_.rows() - first);
  stored_.read_rows(first, count, format_.dtype, block.data());
  format_.require_good(block.data(), first, count);
}

void ChunkedRows::make_block(int64_t row, std::span<std::byte> block) const {
  stored_.read_unchanged([&] { decode(row / block_rows_ * block_rows_, block); });
}

void ChunkedRows::read(std::span<RowRequest> wanted) const {
  sort_by_row(wanted);
  const auto block_of = [&](const RowRequest& request) { return request.row / block_rows_; };
  const auto copy_rows = [&](std::span<const RowRequest> of_block, const BlockCache::Block& block) {
    const int64_t first = block_of(of_block[0]) * block_rows_;
    for (const RowRequest& request : of_block)
      std::memcpy(request.to, block.data() + static_cast<size_t>(request.row - first) * format_.row_bytes,
                  format_.row_bytes);
  };
  const auto fetch = [&](std::span<const RowRequest> of_block) {
    const int64_t number = block_of(of_block[0]);
    copy_rows(of_block, cache_->get(first_key_ + number, [&](std::span<std::byte> block) {
      decode(number * block_rows_, block);
    }));
  };
  stored_.read_unchanged([&] {
    // Blocks in the cache come first: in file order, each new block would evict the one needed next.
    std::vector<std::span<const RowRequest>> missing, made_elsewhere;
    for (size_t begin = 0, end; begin < wanted.size(); begin = end) {
      const int64_t number = block_of(wanted[begin]);
      end = begin + 1;
      while (end < wanted.size() && block_of(wanted[end]) == number) ++end;
      const auto of_block = wanted.subspan(begin, end - begin);
      if (const BlockCache::Block block = cache_->find(first_key_ + number))
        copy_rows(of_block, block);
      else
        missing.push_back(of_block);
    }
    // Threads that miss the same blocks share the work: each makes blocks that no other thread is making.
    for (const auto of_block : missing) {
      if (cache_->is_being_made(first_key_ + block_of(of_block[0])))
        made_elsewhere.push_back(of_block);
      else
        fetch(of_block);
    }
    for (const auto of_block : made_elsewhere) fetch(of_block);
  });
}

}  // namespace lockstep

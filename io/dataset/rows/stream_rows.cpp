#include <utility>

#include "io/dataset/rows/chunked_rows.h"
#include "io/dataset/rows/contiguous_rows.h"
#include "io/dataset/rows/row_source.h"
#include "io/dataset/rows/stored_rows.h"
#include "io/dataset/rows/uncached_rows.h"

namespace lockstep {

std::unique_ptr<RowSource> stream_rows(const StoredRows& stored, RowFormat format,
                                       const std::shared_ptr<BlockCache>& cache, int64_t first_key) {
  if (ContiguousRows::fits(stored, format.dtype))
    return std::make_unique<ContiguousRows>(stored, std::move(format));
  const bool is_decoded = stored.facts().block_bytes > 0;
  if (is_decoded && ChunkedRows::fits(stored, format.row_bytes, cache->capacity()))
    return std::make_unique<ChunkedRows>(stored, std::move(format), cache, first_key);
  return std::make_unique<UncachedRows>(stored, std::move(format));
}

}  // namespace lockstep

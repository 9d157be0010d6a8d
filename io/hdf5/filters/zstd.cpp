#include <fmt/format.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <memory>
#include <new>

#include "io/hdf5/filters/filters.h"

namespace lockstep::filters {

namespace {

struct FreeContext {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

/// One for each thread, with its tables.
ZSTD_DCtx* context() {
  thread_local const std::unique_ptr<ZSTD_DCtx, FreeContext> own(ZSTD_createDCtx());
  if (!own) throw std::bad_alloc();
  return own.get();
}

}  // namespace

size_t decode_zstd(std::span<const std::byte> in, std::span<std::byte> out) {
  const size_t written = ZSTD_decompressDCtx(context(), out.data(), out.size(), in.data(), in.size());
  if (ZSTD_isError(written) == 0) return written;
  if (ZSTD_getErrorCode(written) == ZSTD_error_memory_allocation) throw std::bad_alloc();
  if (ZSTD_getErrorCode(written) == ZSTD_error_dstSize_tooSmall)
    throw BadChunk(fmt::format("its zstd data decodes to more than {} bytes", out.size()));
  throw BadChunk(fmt::format("its zstd data is damaged: {}", ZSTD_getErrorName(written)));
}

}  // namespace lockstep::filters

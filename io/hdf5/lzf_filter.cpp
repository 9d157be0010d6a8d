#include "io/hdf5/lzf_filter.h"

#include <hdf5.h>

#include <cstdlib>

#include "io/hdf5/filters/filters.h"
#include "io/hdf5/filters/pipeline.h"

namespace lockstep::hdf5 {

namespace {

/// h5py stores the size of a decoded chunk as the third setting.
constexpr size_t kChunkBytes = 2;

/// A filter's callback (H5Z_func_t): replaces *buffer and returns the bytes in it; 0 is failure.
size_t decode(unsigned flags, size_t count, const unsigned* settings, size_t bytes, size_t* room,
              void** buffer) {
  if ((flags & H5Z_FLAG_REVERSE) == 0 || count <= kChunkBytes) return 0;
  const size_t wanted = settings[kChunkBytes];
  void* const decoded = std::malloc(wanted);
  if (decoded == nullptr) return 0;
  try {
    const std::span in(static_cast<const std::byte*>(*buffer), bytes);
    if (filters::decode_lzf(in, {static_cast<std::byte*>(decoded), wanted}) == wanted) {
      std::free(*buffer);
      *buffer = decoded;
      *room = wanted;
      return wanted;
    }
  } catch (const filters::BadChunk&) {
  }
  std::free(decoded);
  return 0;
}

}  // namespace

void register_lzf() {
  static const H5Z_class2_t kClass = {H5Z_CLASS_T_VERS, filters::kLzf, 0, 1, "lzf", nullptr, nullptr, decode};
  H5Zregister(&kClass);
}

}  // namespace lockstep::hdf5

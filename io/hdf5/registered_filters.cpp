#include "io/hdf5/registered_filters.h"

#include <blosc.h>
#include <hdf5.h>
#include <zstd.h>

#include <cstdlib>
#include <new>

#include "io/hdf5/filters/bits.h"
#include "io/hdf5/filters/filters.h"
#include "io/hdf5/filters/pipeline.h"

namespace lockstep::hdf5 {

namespace {

using Settings = std::span<const unsigned>;

/// The size of the decoded values, which the data or the filter's settings contain. Throws BadChunk if they
/// do not.
uint64_t decoded_bytes(int id, std::span<const std::byte> in, Settings settings) {
  // h5py stores it as the third setting of lzf; bitshuffle's fifth is its compressor.
  enum { kLzfBytes = 2, kCompressor = 4 };
  constexpr const char* kUnknown = "its decoded size is unknown";
  filters::ByteReader reader(in, kUnknown);
  size_t bytes = 0;
  switch (id) {
    case filters::kLzf:
      if (settings.size() <= kLzfBytes) throw filters::BadChunk(kUnknown);
      return settings[kLzfBytes];
    case filters::kLz4:
      return reader.big_endian(8);
    case filters::kBitshuffle:
      return settings.size() > kCompressor && settings[kCompressor] != 0 ? reader.big_endian(8) : in.size();
    case filters::kZstd:
      return ZSTD_getFrameContentSize(in.data(), in.size());  // a failure is a size beyond every chunk
    default:
      if (blosc_cbuffer_validate(in.data(), in.size(), &bytes) < 0) throw filters::BadChunk(kUnknown);
      return bytes;
  }
}

/// A filter's callback (H5Z_func_t): replaces *buffer and returns the bytes in it; 0 is failure.
template <int kId>
size_t decode(unsigned flags, size_t count, const unsigned* settings, size_t bytes, size_t* room,
              void** buffer) {
  constexpr uint64_t kMaxBytes = UINT32_MAX;  // of a chunk
  if ((flags & H5Z_FLAG_REVERSE) == 0) return 0;
  const std::span in(static_cast<const std::byte*>(*buffer), bytes);
  void* decoded = nullptr;
  try {
    const filters::Step step{kId, {settings, settings + count}};
    const uint64_t wanted = decoded_bytes(kId, in, step.settings);
    if (wanted == 0 || wanted > kMaxBytes) return 0;
    decoded = std::malloc(wanted);
    if (decoded == nullptr) return 0;
    const std::span place(static_cast<std::byte*>(decoded), wanted);
    filters::Scratch scratch;
    if (filters::Pipeline({step}, wanted).decode(in, 0, scratch, place).data() == place.data()) {
      std::free(*buffer);
      *buffer = decoded;
      *room = wanted;
      return wanted;
    }
  } catch (const filters::BadChunk&) {
  } catch (const std::bad_alloc&) {
  }
  std::free(decoded);
  return 0;
}

template <int kId>
void add(const char* name) {
  static const H5Z_class2_t kClass = {H5Z_CLASS_T_VERS, kId, 0, 1, name, nullptr, nullptr, decode<kId>};
  H5Zregister(&kClass);
}

}  // namespace

void register_filters() {
  add<filters::kLzf>("lzf");
  add<filters::kZstd>("zstd");
  add<filters::kLz4>("lz4");
  add<filters::kBitshuffle>("bitshuffle");
  add<filters::kBlosc>("blosc");
}

}  // namespace lockstep::hdf5

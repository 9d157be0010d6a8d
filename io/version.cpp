#include "io/version.h"

#include <blosc.h>
#include <fmt/format.h>
#include <hdf5.h>
#include <libdeflate.h>
#include <lz4.h>
#include <zstd.h>

namespace lockstep {

std::string hdf5_library_version() {
  unsigned major = 0, minor = 0, release = 0;
  if (H5get_libversion(&major, &minor, &release) < 0) return "unknown";
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(release);
}

std::string chunk_decoder_versions() {
  return fmt::format("libdeflate {}, zstd {}, lz4 {}, blosc {}", LIBDEFLATE_VERSION_STRING,
                     ZSTD_versionString(), LZ4_versionString(), blosc_get_version_string());
}

}  // namespace lockstep

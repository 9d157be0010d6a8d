#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "io/import/input_file.h"

namespace lockstep {

/// A file in a zip file.
struct ZipMember {
  std::string name = {};
  bool is_deflated = false;
  int64_t begin = 0;                      ///< where its stored bytes begin
  int64_t stored_bytes = 0;               ///< of the zip file
  int64_t bytes = 0;                      ///< of the member
  std::optional<uint32_t> checksum = {};  ///< CRC-32 of the member
};

/// What a zip file holds, stored or deflated, by its central directory (APPNOTE.TXT 6.3.10), also of zip64.
/// The stored bytes of all members lie within the file. Throws Error(data) for a file that is no zip file,
/// damaged, encrypted, in several parts, or compressed by other methods.
std::vector<ZipMember> read_zip_directory(const InputFile& file);

}  // namespace lockstep

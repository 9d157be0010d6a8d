#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace lockstep {

/// Bytes with addresses from 0 on that lie in parts of files, one part after another. Opens the files, and
/// keeps them open. Safe to read from several threads at once.
class FileParts {
 public:
  FileParts() = default;
  ~FileParts();
  FileParts(FileParts&&) = delete;

  /// Appends `bytes` bytes of a regular file, from `offset` on; their sum is at most INT64_MAX. False if the
  /// file cannot be opened.
  bool append(const std::string& path, uint64_t offset, uint64_t bytes);
  /// The files, each once, in the order of their first parts.
  std::vector<std::string> paths() const;
  /// Of all parts.
  uint64_t bytes() const { return parts_.empty() ? 0 : parts_.back().end; }

  /// Like read_at().
  std::string read(uint64_t address, std::span<iovec> pieces) const;
  std::string read(uint64_t address, std::span<std::byte> out) const;
  /// Lets the system start to read these bytes.
  void ask_for(uint64_t address, uint64_t count) const;
  /// "byte 12 of one.raw".
  std::string describe(uint64_t address) const;

 private:
  struct Part {
    std::string path;
    int descriptor = -1;
    uint64_t offset = 0;            ///< in the file
    uint64_t address = 0, end = 0;  ///< of the first byte, and behind the last
  };
  /// The part with the byte at `address`; null behind the last.
  const Part* part_at(uint64_t address) const;

  std::map<std::string, int> descriptors_;  ///< of each file, however many parts it has
  std::vector<Part> parts_;
};

}  // namespace lockstep

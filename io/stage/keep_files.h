#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/dataset/machine_memory.h"
#include "io/file/kept_file.h"

namespace lockstep {

/// Keeps what the ranks of this machine read of some files in a folder on its storage, while it exists; see
/// KeptFile. Copies are named as those of stage_files(), with ".kept" behind, and nothing else there is
/// touched. Affects readers of chunks and of contiguous values that open the files meanwhile. What libhdf5
/// reads itself is read from the original.
class KeptFiles {
 public:
  /// Collective over all ranks of the run. Throws Error(data) if the folder or a copy cannot be written, or
  /// if a file changes meanwhile.
  KeptFiles(const std::vector<std::string>& files, const std::string& folder, const MachineMemory& machine);
  KeptFiles(const KeptFiles&) = delete;
  KeptFiles& operator=(const KeptFiles&) = delete;

  int64_t bytes() const;       ///< of all files
  int64_t kept_bytes() const;  ///< of those, on this machine by now
  /// Bytes that this process has read so far.
  int64_t read_from_copies() const;
  int64_t read_from_originals() const;

 private:
  std::shared_ptr<std::byte[]> table_;  ///< a flag, then the pieces of all files
  std::vector<std::shared_ptr<KeptFile>> files_;
  std::vector<std::shared_ptr<void>> in_use_;
};

}  // namespace lockstep

#pragma once

#include <string>

#include "io/file/temporary_files.h"
#include "io/hdf5/hdf5.h"

namespace lockstep {

/// A new HDF5 file under a temporary name, which is removed unless the file is committed, also if a signal
/// ends the process.
class OutputFile {
 public:
  /// Throws Error(data) if it cannot be created.
  explicit OutputFile(const std::string& path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  hdf5::File& file() { return file_; }
  /// Closes the file and gives it its name, in place of any file that has it. Throws Error(data).
  void commit();

 private:
  std::string path_, temporary_;
  TemporaryFile noted_;
  hdf5::File file_;
  bool is_renamed_ = false;
};

}  // namespace lockstep

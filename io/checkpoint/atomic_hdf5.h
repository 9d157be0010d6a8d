#pragma once

#include <string>

#include "io/file/atomic_file.h"
#include "io/hdf5/hdf5.h"

namespace lockstep {

/// A new HDF5 file that appears complete or not at all. It is built in memory and written with plain writes,
/// because libhdf5 does not recover from a full disk: its caches stay dirty, and closing the file, or
/// exiting, fails again. Until commit() returns, this takes the file's size in host memory.
class AtomicHdf5 {
 public:
  /// Creates the temporary file at once, so that an unwritable folder is detected before the work begins.
  explicit AtomicHdf5(const std::string& path) : target_(path), file_(hdf5::File::create_in_memory(path)) {}

  hdf5::File& file() { return file_; }
  /// Writes the file, as AtomicFile does.
  void commit() {
    target_.write(file_.image());
    target_.commit();
  }

 private:
  AtomicFile target_;
  hdf5::File file_;
};

}  // namespace lockstep

#pragma once

#include <hdf5.h>

#include <cstdint>
#include <memory>

namespace lockstep {
class FileParts;
}

namespace lockstep::hdf5 {

/// The driver through which libhdf5 reads files that this process only reads: what its own driver "sec2"
/// does, and it can tell where a chunk lies (Locating). It opens the pattern of a family too, in which it
/// reads what the driver "family" does. Registered at the first call; owned by this module.
hid_t read_driver();

/// The descriptor of the file that holds an object, if read_driver() reads it; else -1. It is open as long as
/// the object is. To be read with pread() alone, which does not move its position.
int descriptor_of(hid_t object);

/// The bytes of the file that holds an object, if read_driver() reads it and it is a family; else null.
std::shared_ptr<const FileParts> family_of(hid_t object);

/// While one exists, read_driver() does not read raw data but notes its place in the file, and the buffer
/// that it was to be read into stays as it is. So H5Dread_chunk() only looks a chunk up in the index, in
/// O(log n); libhdf5's own function for that, H5Dget_chunk_info_by_coord(), visits every chunk before it. The
/// caller holds the Lock, and the data set's file uses this driver. Not nested.
class Locating {
 public:
  Locating();
  ~Locating();
  Locating(const Locating&) = delete;
  Locating& operator=(const Locating&) = delete;

  int reads() const { return reads_; }  ///< of raw data that were noted
  /// Of the last one: from the beginning of the file, user block included.
  uint64_t address() const { return address_; }
  uint64_t bytes() const { return bytes_; }

 private:
  friend class ReadDriver;

  int reads_ = 0;
  uint64_t address_ = 0, bytes_ = 0;
};

}  // namespace lockstep::hdf5

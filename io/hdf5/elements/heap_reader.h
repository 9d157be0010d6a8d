#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "io/hdf5/hdf5.h"

namespace lockstep {
class FileParts;
class KeptFile;
}  // namespace lockstep

namespace lockstep::hdf5 {

/// Whether an element of this type in a file is a reference to a value of variable length: a string or a
/// sequence.
bool has_variable_length(hid_t type);

/// The number of items that an element refers to, as stored.
int64_t items_of(std::span<const std::byte> element);

/// Reads values of variable length. An element of such a data set refers to an object in the global heap of
/// its file (HDF5 File Format Specification, III.E), which is read with pread() here and without libhdf5,
/// whose own code trusts the lengths in the file. For one thread at a time; must not outlive the data set.
class HeapReader {
 public:
  /// Throws Error(data) if the elements of the data set, which has_variable_length(), can be read by libhdf5
  /// only.
  explicit HeapReader(const Dataset& dataset);

  /// The bytes of the value that `element`, as stored, refers to: as many items of `item_bytes` as the
  /// element says. Valid until the next call. Throws filters::BadChunk if the element or the heap is damaged.
  std::span<const std::byte> get(std::span<const std::byte> element, size_t item_bytes);

 private:
  struct Object {
    size_t offset = 0, bytes = 0;  ///< in collection_; no object has offset 0
  };
  uint64_t file_bytes() const;
  void read(uint64_t address, std::span<std::byte> out) const;
  void load(uint64_t address);

  int descriptor_ = -1;
  std::shared_ptr<const FileParts> family_;  ///< in place of the descriptor, if not null
  std::shared_ptr<KeptFile> kept_;           ///< the file's copy, through which it is read; null: none
  uint64_t base_ = 0;                        ///< of addresses: the size of the user block
  size_t address_bytes_ = 8, length_bytes_ = 8;
  uint64_t loaded_ = 0;  ///< address of the collection in memory; 0: none
  std::vector<std::byte> collection_;
  std::vector<Object> objects_;  ///< by their index in the collection
};

}  // namespace lockstep::hdf5

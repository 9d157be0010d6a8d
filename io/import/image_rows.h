#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "io/hdf5/hdf5.h"
#include "io/images/image.h"

namespace lockstep {

/// Writes images one after another to a new data set (N, height, width, channels) uint8, in chunks of whole
/// images of about 1 MiB. Must not outlive the file.
class ImageRows {
 public:
  /// most: how many there will be at most.
  ImageRows(hdf5::File& file, std::string name, images::Size size, int64_t most);

  static int64_t images_in_chunk(images::Size size);
  void append(std::span<const std::byte> image);
  /// Writes what is left, and makes the data set as long as there were images. Call once, at the end.
  void finish();

 private:
  void write_waiting();

  hdf5::File& file_;
  std::string name_;
  images::Size size_;
  int64_t most_, written_ = 0;
  size_t row_bytes_;
  std::vector<std::byte> waiting_;
};

}  // namespace lockstep

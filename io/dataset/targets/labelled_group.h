#pragma once

#include <string>

#include "io/hdf5/hdf5.h"

namespace lockstep {

/// Makes GROUP/x (N, H, W) and GROUP/y (N), both uint8, to be filled with write_rows. They are contiguous: a
/// shuffled epoch reads samples of a kilobyte in random order, which then costs one small read each; with
/// chunks it would read, and decompress, a whole chunk for every sample.
inline void create_labelled_group(hdf5::File& file, const std::string& group, const Shape& images) {
  file.create_dataset(group + "/x", DType::u8, images);
  file.create_dataset(group + "/y", DType::u8, {images[0]});
}

}  // namespace lockstep

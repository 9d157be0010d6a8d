#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "io/hdf5/hdf5.h"
#include "io/import/input_file.h"
#include "io/import/npy_header.h"
#include "io/import/zip_directory.h"

namespace lockstep {

/// An array of NumPy: a member of a zip file, or a whole file.
struct StoredArray {
  std::string where;  ///< "a.npz: x_train", to begin an error with
  const InputFile* file = nullptr;
  ZipMember member;
  NpyHeader header;
};

/// Reads the header and checks that the array is as long as it says, and has rows. Throws Error(data).
StoredArray open_array(const InputFile& file, const ZipMember& member, const std::string& where);

/// Copies an array to a new data set, as import_npy() says. note: called with bytes written. fortran_bytes:
/// memory for an array in Fortran order.
void write_array(hdf5::File& out, const std::string& name, const StoredArray& array,
                 const std::function<void(int64_t bytes)>& note, int64_t fortran_bytes = int64_t{256} << 20);

}  // namespace lockstep

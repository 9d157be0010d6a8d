#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace lockstep {

/// What became of the arrays of a file.
struct ImportedArrays {
  struct Array {
    std::string name;  ///< of the data set
    std::string from;  ///< "x_train"; of a .npy file, its path
    std::string text;  ///< "uint8 (60000, 28, 28)"
  };
  std::vector<Array> arrays;
  std::vector<std::string> unused;  ///< members of the file
};

/// Converts arrays of NumPy to an HDF5 file with /train/x and, if y is not empty, /train/y. Elements keep
/// their type and byte order; booleans become h5py's. Contiguous, in C order, whatever their order was.
/// Memory is bounded: pieces of a few MiB, or of 256 MiB of an array in Fortran order, which is read several
/// times if it is larger; at least a row. Throws Error(data) naming the file for anything but numbers, a file
/// that is cut short or too long, and different lengths. `out` appears complete or not at all. progress:
/// called now and then with bytes written.
ImportedArrays import_npy(const std::string& x, const std::string& y, const std::string& out,
                          const std::function<void(int64_t done, int64_t all)>& progress = nullptr);

/// The same for the arrays of a .npz file: those called x and y (/train); x_train, y_train, x_val, y_val,
/// x_test and y_test (/train, /validation, /test), in upper case too; or
/// those that are named, if x is not empty. Throws Error(data) that lists what there is if it has none of
/// these.
ImportedArrays import_npz(const std::string& file, const std::string& x, const std::string& y,
                          const std::string& out,
                          const std::function<void(int64_t done, int64_t all)>& progress = nullptr);

}  // namespace lockstep

#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace lockstep {

/// Converts a folder of MNIST's original files (train-images-idx3-ubyte, train-labels-idx1-ubyte,
/// t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte; plain or with .gz; '.' instead of '-' before "idx" is
/// accepted) to an HDF5 file with /train/x (N, H, W) uint8, /train/y (N) uint8, /test/x and /test/y. Any N, H
/// and W, so Fashion-MNIST works too. Format: http://yann.lecun.com/exdb/mnist. Throws Error(data) naming a
/// file that is missing, truncated, damaged or of another format, or whose counts differ; `out` appears
/// complete or not at all. progress: called now and then with bytes read of the files.
void import_mnist(const std::string& folder, const std::string& out,
                  const std::function<void(int64_t done, int64_t all)>& progress = nullptr);

}  // namespace lockstep

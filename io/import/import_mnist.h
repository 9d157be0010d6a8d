#pragma once

#include <string>

namespace lockstep {

/// Converts a folder of MNIST's original files (train-images-idx3-ubyte, train-labels-idx1-ubyte,
/// t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte; plain or with .gz; '.' instead of '-' before "idx" is
/// accepted) to an HDF5 file with /train/x (N, H, W) uint8, /train/y (N) uint8, /test/x and /test/y. Any N, H
/// and W: Fashion-MNIST and its like too. Format: http://yann.lecun.com/exdb/mnist. Throws Error(data) naming
/// the file that is missing, of another format, cut short or damaged, or whose counts differ; `out` appears
/// whole or not at all.
void import_mnist(const std::string& folder, const std::string& out);

}  // namespace lockstep

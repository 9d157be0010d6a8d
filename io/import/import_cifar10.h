#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace lockstep {

struct ImportedSamples {
  int64_t train = 0, test = 0;
};

/// Converts CIFAR-10's binary version (Krizhevsky 2009; https://www.cs.toronto.edu/~kriz/cifar.html) to an
/// HDF5 file with /train/x (N, 32, 32, 3) uint8, /train/y (N) uint8 and, if there are test images, /test/x
/// and /test/y. source: a folder with data_batch_*.bin or train.bin, and test_batch.bin or test.bin, or one
/// such file, which gives /train. Records of 3073 bytes: the class, then the red, green and blue plane, each
/// of 32 rows. Throws Error(data) naming a file that is missing, cut short or of another format; `out`
/// appears complete or not at all. progress: called now and then with bytes read of the files.
ImportedSamples import_cifar10(const std::string& source, const std::string& out,
                               const std::function<void(int64_t done, int64_t all)>& progress = nullptr);

}  // namespace lockstep

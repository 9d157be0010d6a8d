#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "src/tensor/shape.h"

namespace lockstep {

/// An array of bytes in the idx format of MNIST: big-endian magic 0x0000'08RR (unsigned bytes, RR axes), RR
/// extents of 32 bits, then the elements.
struct IdxArray {
  Shape shape;
  std::vector<uint8_t> elements;
};

/// Reads an idx file, plain or gzipped, with exactly `rank` axes. Throws Error(data) naming the file if it
/// cannot be read, has another format, is shorter or longer than its header says, or fails gzip's checksum.
/// progress: called now and then with the bytes of the file that were read.
IdxArray read_idx(const std::string& path, int rank,
                  const std::function<void(int64_t bytes)>& progress = nullptr);

}  // namespace lockstep

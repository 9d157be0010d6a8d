#pragma once

#include <span>
#include <string>

#include "src/tensor/tensor.h"

namespace lockstep {

/// A tensor to write, in host memory.
struct NamedTensor {
  std::string name;
  ConstTensor tensor;
};

/// Writes a file of safetensors that PyTorch's libraries read: the same bytes as theirs for the same tensors,
/// sorted by the size of their elements, largest first, then by name. The file appears complete or not at
/// all (AtomicFile). Names must differ. Throws Error(data) with the path and the system's reason.
void write_safetensors(const std::string& path, std::span<const NamedTensor> tensors);

}  // namespace lockstep

#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "io/checkpoint/checkpoint.h"
#include "src/graph/parameters.h"

namespace lockstep {

/// A slot, or a part of it, as it is in a file.
struct FileTensor {
  std::string name;
  int64_t offset = 0;  ///< from the slot's
  Shape shape;         ///< in logical order
};

/// What a slot is written as: itself, or its rows where they have names.
std::vector<FileTensor> tensors_of(const ParameterLayout::Slot& slot);

using TensorsByName = std::unordered_map<std::string, ConstTensor>;

/// Views of a checkpoint's tensors.
TensorsByName tensors_by_name(const Checkpoint& checkpoint);

/// What to read a slot from: as tensors_of(), or what earlier versions called it where the file has that.
/// prefix: of the names in the file.
std::vector<FileTensor> tensors_in(const TensorsByName& file, const std::string& prefix,
                                   const ParameterLayout::Slot& slot);

}  // namespace lockstep

#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "io/checkpoint/checkpoint.h"
#include "src/graph/parameters.h"

namespace lockstep {

/// A slot, or a part of it, as stored in a file.
struct FileTensor {
  std::string name;
  int64_t offset = 0;  ///< from the start of the slot
  Shape shape;         ///< in logical order
};

/// The tensors as which a slot is written: itself, or its rows if they have names.
std::vector<FileTensor> tensors_of(const ParameterLayout::Slot& slot);

using TensorsByName = std::unordered_map<std::string, ConstTensor>;

/// Views of a checkpoint's tensors.
TensorsByName tensors_by_name(const Checkpoint& checkpoint);

/// The tensors from which to read a slot: those of tensors_of(), or under the names of earlier versions if
/// the file has those. prefix: of the names in the file.
std::vector<FileTensor> tensors_in(const TensorsByName& file, const std::string& prefix,
                                   const ParameterLayout::Slot& slot);

}  // namespace lockstep

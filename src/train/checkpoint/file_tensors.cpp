#include "src/train/checkpoint/file_tensors.h"

namespace lockstep {

namespace {

/// The slot's names in files of earlier versions.
std::vector<std::string> old_names(const ParameterLayout::Slot& slot) {
  const std::string layer = slot.key.substr(0, slot.key.rfind('/') + 1);
  return {slot.key, layer + (slot.key.ends_with("/weight") ? "scale" : "shift")};
}

}  // namespace

std::vector<FileTensor> tensors_of(const ParameterLayout::Slot& slot) {
  if (slot.rows.empty()) return {{slot.name, 0, logical_shape(slot)}};
  std::vector<FileTensor> rows;
  const Shape row = slot.shape.sample();
  for (const std::string& name : slot.rows)
    rows.push_back({name, static_cast<int64_t>(rows.size()) * row.elements(), row});
  return rows;
}

TensorsByName tensors_by_name(const Checkpoint& checkpoint) {
  TensorsByName by_name;
  for (const Checkpoint::Named& named : checkpoint.tensors) by_name.emplace(named.name, named.tensor);
  return by_name;
}

std::vector<FileTensor> tensors_in(const TensorsByName& file, const std::string& prefix,
                                   const ParameterLayout::Slot& slot) {
  for (const std::string& old : old_names(slot))
    if (file.contains(prefix + old)) return {{old, 0, logical_shape(slot)}};
  return tensors_of(slot);
}

}  // namespace lockstep

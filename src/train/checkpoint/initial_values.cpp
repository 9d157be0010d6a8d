#include "src/train/checkpoint/initial_values.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "src/core/error.h"
#include "src/train/checkpoint/file_tensors.h"
#include "src/train/checkpoint/snapshot.h"

namespace lockstep {

namespace {

std::string list_of(std::vector<std::string> names) {
  constexpr size_t kMaxNames = 40;
  const size_t left_out = names.size() - std::min(names.size(), kMaxNames);
  names.resize(names.size() - left_out);
  return fmt::format("{}{}", fmt::join(names, ", "),
                     left_out == 0 ? "" : fmt::format(" and {} more", left_out));
}

/// The names of a section's tensors in a file, sorted.
std::vector<std::string> names_in(const TensorsByName& file, const std::string& prefix) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : file)
    if (name.starts_with(prefix)) names.push_back(name.substr(prefix.size()));
  std::ranges::sort(names);
  return names;
}

/// Why a tensor cannot be loaded from a file; "" if it can.
std::string obstacle(const TensorsByName& file, const std::string& prefix, const FileTensor& tensor) {
  const auto found = file.find(prefix + tensor.name);
  if (found == file.end()) return fmt::format("{} is not in the checkpoint", tensor.name);
  if (found->second.dtype() != DType::f32)
    return fmt::format("{} is {} in the checkpoint", tensor.name, to_string(found->second.dtype()));
  if (!(found->second.shape() == tensor.shape))
    return fmt::format("{} is {}, in the checkpoint {}", tensor.name, to_string(tensor.shape),
                       to_string(found->second.shape()));
  return "";
}

/// Loads the values of a slot from the file; returns why it did not, or "".
std::string take(const TensorsByName& file, const std::string& prefix, const ParameterLayout::Slot& slot,
                 std::vector<float>& values) {
  const std::vector<FileTensor> tensors = tensors_in(file, prefix, slot);
  for (const FileTensor& tensor : tensors)
    if (std::string reason = obstacle(file, prefix, tensor); !reason.empty()) return reason;
  for (const FileTensor& tensor : tensors)
    std::copy_n(file.at(prefix + tensor.name).data<float>(), tensor.shape.elements(),
                values.begin() + tensor.offset);
  return "";
}

}  // namespace

InitialValues initialize_from(const LoadedCheckpoint& from, Exec exec, const Parameters& parameters) {
  const TensorsByName file = tensors_by_name(from.checkpoint);
  InitialValues result{.path = from.path, .loaded = {}, .left = {}, .statistics = 0, .reasons = {}};
  for (const ModelSection& section : model_sections(parameters, "", /*optimizer=*/nullptr)) {
    const std::vector<ParameterLayout::Slot>& slots = *section.slots;
    const bool are_parameters = &slots == &parameters.layout().parameters;
    std::vector<std::vector<float>> tensors = to_logical(exec, slots, section.flat);
    for (size_t i = 0; i < slots.size(); ++i) {
      std::string reason = take(file, section.prefix, slots[i], tensors[i]);
      if (!are_parameters) {
        result.statistics += reason.empty() ? 1 : 0;
        continue;
      }
      InitialValues::Count& count = reason.empty() ? result.loaded : result.left;
      ++count.tensors;
      count.values += slots[i].elements;
      if (!reason.empty()) result.reasons.push_back(std::move(reason));
    }
    if (are_parameters && result.loaded.tensors == 0) {
      std::vector<std::string> own;
      for (const ParameterLayout::Slot& slot : slots) own.push_back(slot.name);
      fail(ExitCode::data,
           "model.init_from: {} has no parameter of this model with the same name and shape. It has {}. The "
           "model has {}.",
           from.path, list_of(names_in(file, section.prefix)), list_of(own));
    }
    from_logical(exec, slots, tensors, section.flat);
  }
  parameters.update_working_weights();
  return result;
}

}  // namespace lockstep

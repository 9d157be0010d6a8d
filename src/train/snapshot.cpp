#include "src/train/snapshot.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>

namespace lockstep {

namespace {

bool is_optimizers(const ModelSection& section) { return section.prefix.starts_with("optimizer/"); }

}  // namespace

std::vector<ModelSection> model_sections(const Parameters& parameters, const std::string& optimizer_name,
                                         const Optimizer* optimizer) {
  const ParameterLayout& layout = parameters.layout();
  std::vector<ModelSection> sections = {{"model/", &layout.parameters, parameters.weights()},
                                        {"state/", &layout.states, parameters.states()}};
  if (optimizer != nullptr)
    for (const Optimizer::State& state : optimizer->state())
      sections.push_back(
          {"optimizer/" + optimizer_name + "/" + state.name + "/", &layout.parameters, state.values});
  return sections;
}

void add_model(Checkpoint& checkpoint, Exec exec, const Parameters& parameters,
               const std::string& optimizer_name, const Optimizer* optimizer, const SharedState* shared) {
  for (const ModelSection& section : model_sections(parameters, optimizer_name, optimizer)) {
    std::span<const float> flat = section.flat;
    if (shared != nullptr && is_optimizers(section)) {
      shared->sharding.gather(section.flat, shared->scratch);
      flat = shared->scratch;
    }
    const std::vector<std::vector<float>> tensors = to_logical(exec, *section.slots, flat);
    for (size_t i = 0; i < tensors.size(); ++i) {
      const ParameterLayout::Slot& slot = (*section.slots)[i];
      std::vector<std::byte>& bytes = checkpoint.storage.emplace_back(tensors[i].size() * sizeof(float));
      std::memcpy(bytes.data(), tensors[i].data(), bytes.size());
      checkpoint.tensors.push_back(
          {section.prefix + slot.name, ConstTensor(bytes.data(), DType::f32, logical_shape(slot.shape))});
    }
  }
}

void send_state(const Optimizer& optimizer, const SharedState& shared) {
  for (const Optimizer::State& state : optimizer.state())
    shared.sharding.gather(state.values, shared.scratch);
}

void restore_model(const Checkpoint& checkpoint, const std::string& path, Exec exec,
                   const Parameters& parameters, const std::string& optimizer_name,
                   const Optimizer* optimizer, const SharedState* shared) {
  std::unordered_map<std::string, ConstTensor> by_name;
  for (const Checkpoint::Named& named : checkpoint.tensors) by_name.emplace(named.name, named.tensor);
  for (const ModelSection& section : model_sections(parameters, optimizer_name, optimizer)) {
    std::vector<std::vector<float>> tensors;
    for (const ParameterLayout::Slot& slot : *section.slots) {
      const auto found = by_name.find(section.prefix + slot.name);
      const Shape expected = logical_shape(slot.shape);
      if (found == by_name.end())
        fail(ExitCode::data, "{} is a checkpoint of another model or optimizer: it has no tensor {}.", path,
             section.prefix + slot.name);
      if (!(found->second.shape() == expected) || found->second.dtype() != DType::f32)
        fail(ExitCode::data, "{} is a checkpoint of another model: {} is {}, and this model needs {}.", path,
             found->first, to_string(found->second.shape()), to_string(expected));
      const auto* values = found->second.data<float>();
      tensors.emplace_back(values, values + slot.elements);
      by_name.erase(found);
    }
    if (shared != nullptr && is_optimizers(section)) {
      from_logical(exec, *section.slots, tensors, shared->scratch);
      shared->sharding.take(shared->scratch, section.flat);
    } else {
      from_logical(exec, *section.slots, tensors, section.flat);
    }
  }
  const auto left_over = std::find_if(by_name.begin(), by_name.end(), [&](const auto& entry) {
    return optimizer != nullptr || !entry.first.starts_with("optimizer/");
  });
  if (left_over != by_name.end())
    fail(ExitCode::data, "{} is a checkpoint of another model: this one has no tensor {}.", path,
         left_over->first);
}

}  // namespace lockstep

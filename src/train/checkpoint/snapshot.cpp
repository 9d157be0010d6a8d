#include "src/train/checkpoint/snapshot.h"

#include <algorithm>
#include <bit>

#include "src/core/error.h"
#include "src/train/checkpoint/file_tensors.h"

namespace lockstep {

namespace {

constexpr const char* kModelPrefix = "model/";

bool is_optimizers(const std::string& prefix) { return prefix.starts_with("optimizer/"); }

/// Advice on a tensor of a checkpoint that is missing or not used.
std::string advice_on(const std::string& tensor) {
  if (!is_optimizers(tensor)) return "";
  return " To change optimizer.name or optimizer.freeze, start a new run with model.init_from.";
}

/// Has no early exit, so that the compiler can vectorize the loop.
bool all_finite(std::span<const float> values) {
  constexpr uint32_t kExponent = 0x7f800000;
  uint32_t found = 0;
  for (const float value : values)
    found |= static_cast<uint32_t>((std::bit_cast<uint32_t>(value) & kExponent) == kExponent);
  return found == 0;
}

}  // namespace

std::vector<ModelSection> model_sections(const Parameters& parameters, const std::string& optimizer_name,
                                         const Optimizer* optimizer) {
  const ParameterLayout& layout = parameters.layout();
  std::vector<ModelSection> sections = {{kModelPrefix, &layout.parameters, parameters.weights()},
                                        {"state/", &layout.states, parameters.states()}};
  if (optimizer != nullptr)
    for (const Optimizer::State& state : optimizer->state())
      sections.push_back(
          {"optimizer/" + optimizer_name + "/" + state.name + "/", &layout.trained, state.values});
  return sections;
}

Snapshot::Snapshot(Exec exec, const Parameters& parameters, const std::string& optimizer_name,
                   const Optimizer* optimizer, bool gathered)
    : exec_(exec), gathered_(gathered), taken_(exec) {
  size_t size = 0;
  const auto size_of_section = [&](const ModelSection& section) {
    return gathered && is_optimizers(section.prefix) ? parameters.trained_weights().size()
                                                     : section.flat.size();
  };
  const std::vector<ModelSection> sections = model_sections(parameters, optimizer_name, optimizer);
  for (const ModelSection& section : sections) size += size_of_section(section);
  memory_ = Buffer(exec, Memory::pinned, size * sizeof(float));
  std::span<float> rest = memory_.as<float>();
  for (const ModelSection& section : sections) {
    const size_t own = size_of_section(section);
    sections_.push_back({section.prefix, *section.slots, section.flat, rest.first(own)});
    rest = rest.subspan(own);
  }
}

void Snapshot::take(const SharedState* shared) {
  INVARIANT((shared != nullptr) == gathered_, "a sharded optimizer's state is gathered");
  if (shared != nullptr) shared->sharding.gather_weights(shared->parameters);
  for (const Section& section : sections_) {
    std::span<const float> source = section.source;
    if (shared != nullptr && is_optimizers(section.prefix)) {
      shared->sharding.gather(section.source, shared->scratch);
      source = shared->scratch;
    }
    copy(exec_, section.values.data(), source.data(), section.values.size_bytes());
  }
  taken_.record();
}

void Snapshot::finish() {
  taken_.wait();
  not_finite_.clear();
  for (const Section& section : sections_) {
    if (section.prefix == kModelPrefix) weights_hash_ = hash_weights(section.slots, section.values);
    if (!is_optimizers(section.prefix) && not_finite_.empty()) {
      const auto found = std::ranges::find_if(section.slots, [&](const ParameterLayout::Slot& slot) {
        return !all_finite(
            section.values.subspan(static_cast<size_t>(slot.offset), static_cast<size_t>(slot.elements)));
      });
      if (found != section.slots.end()) not_finite_ = section.prefix + found->name;
    }
    make_logical(section.slots, section.values);
  }
}

void Snapshot::add_to(Checkpoint& checkpoint) const {
  for (const Section& section : sections_)
    for (const ParameterLayout::Slot& slot : section.slots)
      for (const FileTensor& tensor : tensors_of(slot))
        checkpoint.tensors.push_back(
            {section.prefix + tensor.name,
             ConstTensor(section.values.data() + slot.offset + tensor.offset, DType::f32, tensor.shape)});
}

void send_state(const Optimizer& optimizer, const SharedState& shared) {
  shared.sharding.gather_weights(shared.parameters);
  for (const Optimizer::State& state : optimizer.state())
    shared.sharding.gather(state.values, shared.scratch);
}

void restore_model(const Checkpoint& checkpoint, const std::string& path, Exec exec,
                   const Parameters& parameters, const std::string& optimizer_name,
                   const Optimizer* optimizer, const SharedState* shared) {
  TensorsByName by_name = tensors_by_name(checkpoint);
  for (const ModelSection& section : model_sections(parameters, optimizer_name, optimizer)) {
    std::vector<std::vector<float>> tensors;
    for (const ParameterLayout::Slot& slot : *section.slots) {
      std::vector<float>& values = tensors.emplace_back();
      for (const FileTensor& tensor : tensors_in(by_name, section.prefix, slot)) {
        const auto found = by_name.find(section.prefix + tensor.name);
        if (found == by_name.end())
          fail(ExitCode::data, "{} is a checkpoint of another model or optimizer: it has no tensor {}.{}",
               path, section.prefix + tensor.name, advice_on(section.prefix));
        if (!(found->second.shape() == tensor.shape) || found->second.dtype() != DType::f32)
          fail(ExitCode::data, "{} is a checkpoint of another model: {} is {}, and this model needs {}.",
               path, found->first, to_string(found->second.shape()), to_string(tensor.shape));
        const auto* stored = found->second.data<float>();
        values.insert(values.end(), stored, stored + tensor.shape.elements());
        by_name.erase(found);
      }
    }
    if (shared != nullptr && is_optimizers(section.prefix)) {
      from_logical(exec, *section.slots, tensors, shared->scratch);
      shared->sharding.take(shared->scratch, section.flat);
    } else {
      from_logical(exec, *section.slots, tensors, section.flat);
    }
  }
  if (shared != nullptr) shared->parameters.set_whole_weights(true);
  parameters.update_working_weights();
  const auto left_over = std::find_if(by_name.begin(), by_name.end(), [&](const auto& entry) {
    return optimizer != nullptr || !entry.first.starts_with("optimizer/");
  });
  if (left_over != by_name.end())
    fail(ExitCode::data, "{} is a checkpoint of another model: this one has no tensor {}.{}", path,
         left_over->first, advice_on(left_over->first));
}

}  // namespace lockstep

#include "src/train/checkpoint/snapshot.h"

#include <algorithm>
#include <bit>
#include <unordered_map>

namespace lockstep {

namespace {

constexpr const char* kModelPrefix = "model/";

bool is_optimizers(const std::string& prefix) { return prefix.starts_with("optimizer/"); }

/// A slot, or a part of it, as it is in a file.
struct FileTensor {
  std::string name;
  int64_t offset = 0;  ///< from the slot's
  Shape shape;         ///< in logical order
};

std::vector<FileTensor> tensors_of(const ParameterLayout::Slot& slot) {
  if (slot.rows.empty()) return {{slot.name, 0, logical_shape(slot)}};
  std::vector<FileTensor> rows;
  const Shape row = slot.shape.sample();
  for (const std::string& name : slot.rows)
    rows.push_back({name, static_cast<int64_t>(rows.size()) * row.elements(), row});
  return rows;
}

/// What earlier versions called the slot in files.
std::vector<std::string> old_names(const ParameterLayout::Slot& slot) {
  const std::string layer = slot.key.substr(0, slot.key.rfind('/') + 1);
  return {slot.key, layer + (slot.key.ends_with("/weight") ? "scale" : "shift")};
}

using TensorsByName = std::unordered_map<std::string, ConstTensor>;

/// What to read a slot from.
std::vector<FileTensor> tensors_in(const TensorsByName& file, const std::string& prefix,
                                   const ParameterLayout::Slot& slot) {
  for (const std::string& old : old_names(slot))
    if (file.contains(prefix + old)) return {{old, 0, logical_shape(slot)}};
  return tensors_of(slot);
}

/// A loop without a way out, which the compiler turns into vector instructions.
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
          {"optimizer/" + optimizer_name + "/" + state.name + "/", &layout.parameters, state.values});
  return sections;
}

Snapshot::Snapshot(Exec exec, const Parameters& parameters, const std::string& optimizer_name,
                   const Optimizer* optimizer, bool gathered)
    : exec_(exec), taken_(exec) {
  size_t size = 0;
  const auto size_of_section = [&](const ModelSection& section) {
    return gathered && is_optimizers(section.prefix) ? parameters.weights().size() : section.flat.size();
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
  for (const Optimizer::State& state : optimizer.state())
    shared.sharding.gather(state.values, shared.scratch);
}

void restore_model(const Checkpoint& checkpoint, const std::string& path, Exec exec,
                   const Parameters& parameters, const std::string& optimizer_name,
                   const Optimizer* optimizer, const SharedState* shared) {
  TensorsByName by_name;
  for (const Checkpoint::Named& named : checkpoint.tensors) by_name.emplace(named.name, named.tensor);
  for (const ModelSection& section : model_sections(parameters, optimizer_name, optimizer)) {
    std::vector<std::vector<float>> tensors;
    for (const ParameterLayout::Slot& slot : *section.slots) {
      std::vector<float>& values = tensors.emplace_back();
      for (const FileTensor& tensor : tensors_in(by_name, section.prefix, slot)) {
        const auto found = by_name.find(section.prefix + tensor.name);
        if (found == by_name.end())
          fail(ExitCode::data, "{} is a checkpoint of another model or optimizer: it has no tensor {}.", path,
               section.prefix + tensor.name);
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
  const auto left_over = std::find_if(by_name.begin(), by_name.end(), [&](const auto& entry) {
    return optimizer != nullptr || !entry.first.starts_with("optimizer/");
  });
  if (left_over != by_name.end())
    fail(ExitCode::data, "{} is a checkpoint of another model: this one has no tensor {}.", path,
         left_over->first);
}

}  // namespace lockstep

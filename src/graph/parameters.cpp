#include "src/graph/parameters.h"

#include <algorithm>

#include "src/core/error.h"
#include "src/core/hash.h"
#include "src/ops/fingerprint.h"
#include "src/ops/pointwise/cast.h"
#include "src/ops/step_guard.h"

namespace lockstep {

namespace {

/// 256 GiB of float weights, more than any GPU can hold.
constexpr int64_t kMaxParameters = int64_t{1} << 36;

int64_t padded(int64_t elements) { return (elements + kFlatBlock - 1) / kFlatBlock * kFlatBlock; }

/// Copies (K, spatial..., C) to (K, C, spatial...), or vice versa.
void permute_filters(const Shape& stored, bool to_logical_order, const float* source, float* destination) {
  const int64_t filters = stored[0], channels = stored[-1],
                positions = stored.elements() / (filters * channels);
  for (int64_t k = 0; k < filters; ++k) {
    for (int64_t p = 0; p < positions; ++p) {
      for (int64_t c = 0; c < channels; ++c) {
        const int64_t in_storage = (k * positions + p) * channels + c;
        const int64_t in_logical = (k * channels + c) * positions + p;
        if (to_logical_order)
          destination[in_logical] = source[in_storage];
        else
          destination[in_storage] = source[in_logical];
      }
    }
  }
}

std::vector<float> to_host(Exec exec, std::span<const float> values) {
  std::vector<float> host(values.size());
  copy(exec, host.data(), values.data(), values.size_bytes());
  synchronize(exec);
  return host;
}

}  // namespace

ParameterLayout::ParameterLayout(const Graph& graph) {
  working_type = activation_type(graph.precision());
  if (graph.has_loss_weights()) weighted_outputs = static_cast<int64_t>(graph.outputs().size());
  for (int node = 0; node < graph.output(); ++node) {
    const Graph::Node& n = graph.nodes()[static_cast<size_t>(node)];
    const auto slot_of = [&](const std::string& name, const Shape& shape, int index) {
      return Slot{.name = n.owner() + "." + name,
                  .key = n.owner() + "/" + name,
                  .node = node,
                  .index = index,
                  .shape = shape,
                  .elements = shape.elements()};
    };
    std::vector<int>& own = parameters_of_node.emplace_back();
    int index = 0;
    for (const ParameterSpec& spec : n.layer->parameters()) {
      const int holder = graph.holder(node, spec.name);
      if (holder != node) {
        const auto held = std::ranges::find_if(parameters, [&](const Slot& slot) {
          return slot.node == holder &&
                 specs[static_cast<size_t>(&slot - parameters.data())].name == spec.name;
        });
        own.push_back(static_cast<int>(held - parameters.begin()));
        held->read_as_f32 |= graph.read_type(node, spec) == DType::f32;
        ++index;
        continue;
      }
      own.push_back(static_cast<int>(parameters.size()));
      parameters.push_back(slot_of(spec.name, spec.shape, index++));
      parameters.back().channels_last_filter = spec.channels_last_filter;
      parameters.back().frozen = graph.tuning(node, spec.name).frozen;
      parameters.back().read_as_f32 = graph.read_type(node, spec) == DType::f32;
      specs.push_back(spec);
      parameter_count += spec.shape.elements();
    }
    index = 0;
    for (const StateSpec& spec : n.layer->states()) {
      Slot& slot = states.emplace_back(slot_of(spec.name, spec.shape, index++));
      slot.frozen = graph.frozen(node);
      for (const std::string& row : spec.row_names) slot.rows.push_back(n.owner() + "." + row);
      state_specs.push_back(spec);
    }
  }
  if (parameter_count > kMaxParameters)
    fail(ExitCode::usage,
         "the model has {:.3g} parameters, but at most {:.3g} are supported, because every rank holds a "
         "copy. Make its layers smaller.",
         static_cast<double>(parameter_count), static_cast<double>(kMaxParameters));
  place_states();
  place_parameters(graph);
  for (int64_t& end : ready_ends) end += gradients_offset();
}

void ParameterLayout::place_states() {
  for (const bool frozen : {false, true}) {
    for (Slot& slot : states) {
      if (slot.frozen != frozen) continue;
      slot.offset = states_size;
      states_size += padded(slot.elements);
    }
    if (!frozen) summed_states_size = states_size;
  }
}

void ParameterLayout::place_parameters(const Graph& graph) {
  for (size_t i = parameters.size(); i-- > 0;) {
    Slot& slot = parameters[i];
    if (slot.frozen) continue;
    slot.offset = weights_size;
    weights_size += padded(slot.elements);
    const auto lr_scale = static_cast<float>(graph.tuning(slot.node, specs[i].name).lr_scale);
    blocks.insert(blocks.end(), static_cast<size_t>(padded(slot.elements) / kFlatBlock),
                  {static_cast<int32_t>(i), specs[i].decay, lr_scale});
    // Each parameter of a layer moves the layer's end.
    if (ready_ends.empty() || node_of_ready_end.back() != slot.node) {
      ready_ends.push_back(weights_size);
      node_of_ready_end.push_back(slot.node);
    }
    ready_ends.back() = weights_size;
  }
  trained_size = weights_size;
  for (size_t i = parameters.size(); i-- > 0;) {
    Slot& slot = parameters[i];
    if (!slot.frozen) continue;
    slot.offset = weights_size;
    weights_size += padded(slot.elements);
  }
  std::ranges::copy_if(parameters, std::back_inserter(trained),
                       [](const Slot& slot) { return !slot.frozen; });
}

int64_t ParameterLayout::requests_offset() const { return fingerprint_offset() + kFingerprintFloats; }

int64_t ParameterLayout::state_sums_offset() const { return padded(verdict_offset() + StepVerdict::kFloats); }

Parameters::Parameters(Exec exec, const Graph& graph)
    : exec_(exec),
      layout_(graph),
      weights_(exec, Memory::device, static_cast<size_t>(layout_.weights_size) * sizeof(float)),
      working_(exec, Memory::device,
               layout_.working_type == DType::f32
                   ? 0
                   : static_cast<size_t>(layout_.weights_size) * size_of(layout_.working_type)),
      states_(exec, Memory::device, static_cast<size_t>(layout_.states_size) * sizeof(float)) {}

Tensor Parameters::working_weights() const {
  if (layout_.working_type == DType::f32) return {};
  return {working_.data(), layout_.working_type, {layout_.weights_size}};
}

Tensor Parameters::parameter(int i, DType type) const {
  const ParameterLayout::Slot& slot = layout_.parameters[static_cast<size_t>(i)];
  if (type == DType::f32) return {weights().data() + slot.offset, DType::f32, slot.shape};
  INVARIANT(type == layout_.working_type, "parameters of {} read as {}", to_string(layout_.working_type),
            to_string(type));
  return {working_.data() + static_cast<size_t>(slot.offset) * size_of(type), type, slot.shape};
}

void Parameters::update_working_weights() const {
  if (layout_.working_type == DType::f32) return;
  INVARIANT(has_whole_weights(), "a working copy of weights of which a part is out of date");
  cast(exec_, ConstTensor(weights().data(), DType::f32, {layout_.weights_size}), working_weights());
}

Tensor Parameters::state(int i) const {
  const ParameterLayout::Slot& slot = layout_.states[static_cast<size_t>(i)];
  return {states().data() + slot.offset, DType::f32, slot.shape};
}

void Parameters::initialize(uint64_t seed) {
  std::vector<float> weights_host(static_cast<size_t>(layout_.weights_size));
  for (size_t i = 0; i < layout_.parameters.size(); ++i) {
    const ParameterLayout::Slot& slot = layout_.parameters[i];
    initialize_parameter(layout_.specs[i], slot.key, seed, weights_host.data() + slot.offset);
  }
  std::vector<float> states_host(static_cast<size_t>(layout_.states_size));
  for (size_t i = 0; i < layout_.states.size(); ++i) {
    const ParameterLayout::Slot& slot = layout_.states[i];
    initialize_state(layout_.state_specs[i], states_host.data() + slot.offset);
  }
  copy(exec_, weights_.data(), weights_host.data(), weights_host.size() * sizeof(float));
  copy(exec_, states_.data(), states_host.data(), states_host.size() * sizeof(float));
  update_working_weights();
  synchronize(exec_);
}

uint64_t Parameters::weights_hash() const {
  INVARIANT(has_whole_weights(), "a hash of weights of which a part is out of date");
  return hash_weights(layout_.parameters, to_host(exec_, weights()));
}

uint64_t hash_weights(const std::vector<ParameterLayout::Slot>& parameters, std::span<const float> weights) {
  StreamingHash hash;
  for (const ParameterLayout::Slot& slot : parameters)
    hash.update(
        std::as_bytes(weights.subspan(static_cast<size_t>(slot.offset), static_cast<size_t>(slot.elements))));
  return hash.digest();
}

void make_logical(const std::vector<ParameterLayout::Slot>& slots, std::span<float> host) {
  std::vector<float> stored;
  for (const ParameterLayout::Slot& slot : slots) {
    if (!slot.channels_last_filter) continue;
    float* values = host.data() + slot.offset;
    stored.assign(values, values + slot.elements);
    permute_filters(slot.shape, true, stored.data(), values);
  }
}

std::vector<std::vector<float>> to_logical(Exec exec, const std::vector<ParameterLayout::Slot>& slots,
                                           std::span<const float> flat) {
  std::vector<float> host = to_host(exec, flat);
  make_logical(slots, host);
  std::vector<std::vector<float>> tensors;
  for (const ParameterLayout::Slot& slot : slots) {
    const float* values = host.data() + slot.offset;
    tensors.emplace_back(values, values + slot.elements);
  }
  return tensors;
}

void from_logical(Exec exec, const std::vector<ParameterLayout::Slot>& slots,
                  const std::vector<std::vector<float>>& tensors, std::span<float> flat) {
  std::vector<float> host(flat.size());
  for (size_t i = 0; i < slots.size(); ++i) {
    const ParameterLayout::Slot& slot = slots[i];
    if (slot.channels_last_filter)
      permute_filters(slot.shape, false, tensors[i].data(), host.data() + slot.offset);
    else
      std::copy(tensors[i].begin(), tensors[i].end(), host.begin() + slot.offset);
  }
  copy(exec, flat.data(), host.data(), host.size() * sizeof(float));
  synchronize(exec);
}

Shape logical_shape(const ParameterLayout::Slot& slot) {
  if (!slot.channels_last_filter) return slot.shape;
  std::vector<int64_t> extents = extents_of(slot.shape);
  std::rotate(extents.begin() + 1, extents.end() - 1, extents.end());
  return Shape(extents);
}

}  // namespace lockstep

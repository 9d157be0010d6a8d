#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "src/core/rng.h"
#include "src/device/buffer.h"
#include "src/graph/graph.h"
#include "src/graph/schedule.h"
#include "src/ops/micro_batch.h"
#include "src/tensor/real.h"
#include "tests/support/backend.h"

namespace lockstep {

inline double dot(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

/// Runs a graph on one micro-batch by the letter of layer.h and with nothing clever: every tensor has memory
/// of its own that is NaN until it is written, and a layer's backward gets its input and output only if its
/// traits ask for them. All values are kept on the host; each call of a layer gets copies of what it may
/// touch in the memory of the backend.
class GraphRunner {
 public:
  std::map<std::string, std::vector<float>> parameters, gradients, states, state_sums;
  bool skip_input_gradients = false;  ///< backward as for a layer that only the data feeds

  /// share_memory: where a layer's traits allow it, its output takes the place of its first input, and
  /// likewise for their gradients. For graphs of one layer.
  GraphRunner(Graph& graph, int64_t n, Exec exec = {}, bool share_memory = false)
      : exec_(exec),
        graph_(graph),
        n_(n),
        shares_(share_memory),
        adds_to_gradient_(layers_that_add_to_gradient(graph)),
        info_(exec, {3, static_cast<int32_t>(n), 1.0f / static_cast<float>(n)}),
        sample_index_(exec, Memory::device, static_cast<size_t>(n) * sizeof(int64_t)) {
    std::vector<int64_t> sample_index(static_cast<size_t>(n));
    std::iota(sample_index.begin(), sample_index.end(), int64_t{100});
    test::to_backend(exec, sample_index_.as<int64_t>(), sample_index);
    for (size_t i = 0; i < graph_.nodes().size(); ++i) {
      const Graph::Node& node = graph_.nodes()[i];
      node.layer->prepare({.exec = exec,
                           .samples = n,
                           .adds = node.adds,
                           .activation = node.activation,
                           .adds_to_gradient = adds_to_gradient_[i],
                           .type = type(),
                           .output = node.output.dtype,
                           .tf32 = graph_.precision() == Precision::tf32});
      for (const ParameterSpec& spec : node.layer->parameters()) {
        auto& values = parameters[node.owner() + "/" + spec.name];
        values.resize(static_cast<size_t>(spec.shape.elements()));
        initialize_parameter(spec, node.owner() + "/" + spec.name, 17, values.data());
      }
      for (const StateSpec& spec : node.layer->states()) {
        auto& values = states[node.owner() + "/" + spec.name];
        values.resize(static_cast<size_t>(spec.shape.elements()));
        initialize_state(spec, values.data());
      }
      auto& saved = saved_.emplace_back();
      for (const Value& s : node.layer->saved()) {
        const size_t bytes = static_cast<size_t>(s.shape.elements()) * size_of(s.dtype);
        saved.emplace_back(exec, Memory::device, bytes);
        test::to_backend(exec, saved.back().as<std::byte>(), std::vector(bytes, std::byte{0xff}));
      }
      workspaces_.emplace_back(exec, Memory::device, node.layer->workspace_bytes());
    }
  }

  std::vector<float> forward(const std::vector<float>& x, bool training = true) {
    values_.assign(1, x);
    for (size_t i = 0; i < graph_.nodes().size(); ++i) {
      const Value output = graph_.nodes()[i].output.batched(n_);
      values_.push_back(poisoned(output.shape));
      for (const StateSpec& spec : graph_.nodes()[i].layer->states())
        state_sums[graph_.nodes()[i].owner() + "/" + spec.name] = poisoned(spec.shape);
      Call call(*this, i);
      call.context.training = training;
      const bool in_place = shares_ && graph_.nodes()[i].layer->traits().forward_in_place;
      if (in_place) call.context.output = call.tensor(values_[0], output);
      graph_.nodes()[i].layer->forward(call.context);
      call.finish();
      if (in_place) values_[i + 1] = values_[0];
    }
    return values_.back();
  }

  /// As forward() has left it.
  const std::vector<float>& value(int number) const { return values_[static_cast<size_t>(number)]; }

  /// Returns the gradient of the input; `gradients` holds the parameters'.
  std::vector<float> backward(const std::vector<float>& output_gradient) {
    return backward(std::map<int, std::vector<float>>{{graph_.output(), output_gradient}});
  }
  /// The same for a loss of several values.
  std::vector<float> backward(const std::map<int, std::vector<float>>& output_gradients) {
    std::vector<std::vector<float>> sums;
    for (const std::vector<float>& value : values_) sums.emplace_back(value.size(), 0.0f);
    for (const auto& [value, gradient] : output_gradients) sums[static_cast<size_t>(value)] = gradient;
    for (size_t i = graph_.nodes().size(); i-- > 0;) {
      Graph::Node& node = graph_.nodes()[i];
      const LayerTraits traits = node.layer->traits();
      for (const ParameterSpec& spec : node.layer->parameters())
        gradients[node.owner() + "/" + spec.name] = poisoned(spec.shape);
      Call call(*this, i);
      call.context.training = true;
      call.context.output_gradient = call.tensor(sums[i + 1], {type(), node.output.shape.batched(n_)});
      call.context.added = {};
      if (!traits.backward_reads_input) std::fill(call.inputs.begin(), call.inputs.end(), ConstTensor{});
      if (!node.backward_reads_output()) call.context.output = {};
      std::vector<std::vector<float>> parts;
      std::vector<Tensor> tensors;
      for (const int input : node.inputs) parts.push_back(poisoned(graph_.shape(input).batched(n_)));
      std::vector<float>& first = sums[static_cast<size_t>(node.inputs[0])];
      if (adds_to_gradient_[i]) parts[0] = std::exchange(first, std::vector<float>(first.size(), 0.0f));
      for (size_t k = 0; k < parts.size(); ++k) {
        if (is_real(graph_.value(node.inputs[k]).dtype)) {
          tensors.push_back(call.tensor(parts[k], graph_.gradient(node.inputs[k]).batched(n_)));
        } else {
          tensors.emplace_back();  // integers have no gradient
          std::ranges::fill(parts[k], 0.0f);
        }
      }
      const bool in_place = shares_ && traits.backward_in_place;
      if (in_place) tensors[0] = call.tensor(sums[i + 1], graph_.gradient(node.inputs[0]).batched(n_));
      if (skip_input_gradients) std::fill(tensors.begin(), tensors.end(), Tensor{});
      if (node.adds) {
        call.context.added_gradient = tensors.back();
        tensors.pop_back();
      }
      call.context.input_gradients = tensors;
      node.layer->backward(call.context);
      call.finish();
      if (in_place) parts[0] = sums[i + 1];
      for (size_t k = 0; k < parts.size(); ++k) {
        std::vector<float>& sum = sums[static_cast<size_t>(node.inputs[k])];
        for (size_t e = 0; e < sum.size(); ++e) sum[e] = rounded(sum[e] + parts[k][e]);
      }
    }
    return sums[0];
  }

  void update_states() {
    for (size_t i = 0; i < graph_.nodes().size(); ++i) {
      Call call(*this, i);
      graph_.nodes()[i].layer->update_state(call.context);
      call.finish();
    }
  }

 private:
  /// Of activations, and of all gradients of values.
  DType type() const { return activation_type(graph_.precision()); }
  float rounded(float value) const {
    return type() == DType::bf16 ? float{bf16(value)} : type() == DType::f16 ? float{f16(value)} : value;
  }
  static std::vector<float> poisoned(const Shape& shape) {
    return std::vector<float>(static_cast<size_t>(shape.elements()), std::numeric_limits<float>::quiet_NaN());
  }

  /// The context of layer i, and the copies in the backend's memory that its tensors are.
  class Call {
   public:
    Call(GraphRunner& run, size_t i) : exec_(run.exec_) {
      Graph::Node& node = run.graph_.nodes()[i];
      if (!run.values_.empty()) {
        for (const int input : node.inputs) {
          std::vector<float>& values = run.values_[static_cast<size_t>(input)];
          const Value value = run.graph_.value(input).batched(run.n_);
          inputs.emplace_back(value.dtype == DType::i32 ? ids(values, value.shape) : tensor(values, value));
        }
        if (node.adds) {
          context.added = inputs.back();
          inputs.pop_back();
        }
        context.output = tensor(run.values_[i + 1], node.output.batched(run.n_));
      }
      for (const ParameterSpec& spec : node.layer->parameters()) {
        const std::string name = node.owner() + "/" + spec.name;
        const DType read = spec.read_as == ReadAs::f32      ? DType::f32
                           : spec.read_as == ReadAs::output ? node.output.dtype
                                                            : run.type();
        // A copy, because what the layer reads of it may be rounded.
        read_.push_back(std::make_unique<std::vector<float>>(run.parameters[name]));
        parameters.emplace_back(tensor(*read_.back(), {read, spec.shape}));
        if (run.gradients.contains(name))
          gradients.push_back(tensor(run.gradients[name], {DType::f32, spec.shape}));
      }
      for (const StateSpec& spec : node.layer->states()) {
        const Value value{DType::f32, spec.shape};
        states.push_back(tensor(run.states[node.owner() + "/" + spec.name], value));
        state_sums.push_back(tensor(run.state_sums[node.owner() + "/" + spec.name], value));
      }
      const std::vector<Value> specs = node.layer->saved();
      for (size_t k = 0; k < specs.size(); ++k)
        saved.emplace_back(run.saved_[i][k].data(), specs[k].dtype, specs[k].shape);
      const Buffer& workspace = run.workspaces_[i];
      if (workspace.size() > 0)
        context.workspace = {workspace.data(), DType::u8, {static_cast<int64_t>(workspace.size())}};
      context.info = run.info_.get();
      context.sample_index = ConstTensor(run.sample_index_.data(), DType::i64, {run.n_});
      context.inputs = inputs;
      context.parameters = parameters;
      context.parameter_gradients = gradients;
      context.states = states;
      context.state_sums = state_sums;
      context.saved = saved;
    }

    /// The copy of these values: one for each vector.
    Tensor tensor(std::vector<float>& values, const Value& value) {
      Copy& copy = copies_[&values];
      if (copy.buffer.size() == 0) {
        copy.buffer = Buffer(exec_, Memory::device, static_cast<size_t>(value.bytes()));
        copy.tensor = {copy.buffer.data(), value.dtype, value.shape};
        test::to_backend(exec_, copy.tensor, values);
      }
      return copy.tensor.reshaped(value.shape);
    }

    /// The values as int32.
    ConstTensor ids(const std::vector<float>& values, const Shape& shape) {
      const std::vector<int32_t> whole(values.begin(), values.end());
      ids_ = Buffer(exec_, Memory::device, whole.size() * sizeof(int32_t));
      test::to_backend(exec_, ids_.as<int32_t>(), whole);
      return {ids_.data(), DType::i32, shape};
    }

    /// Brings back what the layer has made of the values.
    void finish() {
      for (auto& [values, copy] : copies_)
        if (copy.tensor) *values = test::from_backend(exec_, ConstTensor(copy.tensor));
    }

    std::vector<ConstTensor> inputs, parameters;
    std::vector<Tensor> gradients, states, state_sums, saved;
    LayerContext context;

   private:
    Exec exec_;
    struct Copy {
      Buffer buffer;
      Tensor tensor;
    };
    std::map<std::vector<float>*, Copy> copies_;
    std::vector<std::unique_ptr<std::vector<float>>> read_;
    Buffer ids_;
  };

  Exec exec_;
  Graph& graph_;
  int64_t n_;
  bool shares_;
  std::vector<bool> adds_to_gradient_;  ///< by layer
  test::OnBackend<MicroBatchInfo> info_;
  Buffer sample_index_;
  std::vector<std::vector<float>> values_;
  std::vector<std::vector<Buffer>> saved_;
  std::vector<Buffer> workspaces_;
};

/// Normally distributed, the same for the same id.
inline std::vector<float> random_values(int64_t count, uint64_t id) {
  RandomStream random(23, id);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& v : values) v = random.next_normal();
  return values;
}

}  // namespace lockstep

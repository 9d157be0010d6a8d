#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "src/graph/network.h"
#include "tests/graph/graph_runner.h"
#include "tests/support/backend.h"
#include "tests/support/compare.h"

namespace lockstep {

/// A network with initial weights, and memory for one micro-batch of three random samples; of token ids: 0, 1
/// and 2 in turn.
class NetworkRun {
 public:
  static constexpr int64_t kRows = 3;

  NetworkRun(Exec exec, const Graph& graph, uint64_t seed = 5)
      : exec_(exec),
        parameters_(exec, graph),
        network_(exec, graph, parameters_, kRows, /*training=*/true),
        info_(exec, {4, kRows, 1.0f / kRows}),
        index_(exec, {kRows}, {100, 101, 102}),
        reduced_(exec, {parameters_.layout().reduced_size()}),
        input_(random_values(network_.input().elements(), seed)),
        output_gradient_(random_values(network_.output().elements(), seed + 1)) {
    parameters_.initialize(seed);
    if (network_.input().dtype() == DType::i32)
      for (size_t i = 0; i < input_.size(); ++i) input_[i] = static_cast<float>(i * 7 % 3);
  }

  const std::vector<float>& output_gradient() const { return output_gradient_; }
  const ParameterLayout& layout() const { return parameters_.layout(); }
  const std::vector<float>& input() const { return input_; }
  Tensor state(size_t i) const { return parameters_.state(static_cast<int>(i)); }
  Tensor parameter(size_t i) const { return parameters_.parameter(static_cast<int>(i)); }

  std::vector<float> forward() {
    if (const Tensor& input = network_.input(); input.dtype() == DType::i32)
      test::to_backend(exec_, std::span(input.data<int32_t>(), input_.size()),
                       std::vector<int32_t>(input_.begin(), input_.end()));
    else
      test::to_backend(exec_, input, input_);
    network_.forward(batch());
    return test::from_backend(exec_, network_.output());
  }
  /// After forward(); calls node_done as Network does.
  void backward(const std::function<void(int)>& node_done = [](int) {}) {
    test::to_backend(exec_, network_.output_gradient(), output_gradient_);
    network_.backward(batch(), node_done);
  }
  std::vector<float> gradient(size_t parameter) const {
    const ParameterLayout::Slot& slot = layout().parameters[parameter];
    return slice(slot, layout().gradients_offset());
  }
  std::vector<float> state_sums(size_t state) const {
    return slice(layout().states[state], layout().state_sums_offset());
  }
  std::vector<float> states_after_update() {
    network_.update_states(info_.get(), reduced_.span());
    return test::from_backend(exec_, parameters_.states());
  }

 private:
  Network::MicroBatch batch() const { return {info_.get(), index_, reduced_.span()}; }
  std::vector<float> slice(const ParameterLayout::Slot& slot, int64_t start) const {
    const std::vector<float> all = reduced_.values();
    const auto first = all.begin() + start + slot.offset;
    return {first, first + slot.elements};
  }

  Exec exec_;
  Parameters parameters_;
  Network network_;
  test::OnBackend<MicroBatchInfo> info_;
  test::Guarded<int64_t> index_;
  test::Guarded<float> reduced_;
  std::vector<float> input_, output_gradient_;
};

/// Compares outputs, gradients, sums of statistics and running statistics of one micro-batch with the CPU's.
inline void expect_as_on_cpu(Exec exec, const Graph& graph) {
  NetworkRun run(exec, graph), reference({}, graph);
  const auto expect_same = [](const std::vector<float>& actual, const std::vector<float>& expected,
                              const std::string& what) {
    test::expect_close(actual, test::to_double(expected), test::kNormalized, what.c_str());
  };
  expect_same(run.forward(), reference.forward(), "output");
  run.backward();
  reference.backward();
  const ParameterLayout& layout = run.layout();
  for (size_t p = 0; p < layout.parameters.size(); ++p)
    expect_same(run.gradient(p), reference.gradient(p), "gradient of " + layout.parameters[p].name);
  for (size_t s = 0; s < layout.states.size(); ++s)
    expect_same(run.state_sums(s), reference.state_sums(s), "sums of " + layout.states[s].name);
  expect_same(run.states_after_update(), reference.states_after_update(), "states");
}

}  // namespace lockstep

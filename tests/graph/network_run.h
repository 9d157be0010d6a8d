#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
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

  /// Moves each parameter and each value of the input to the float above or below; token ids stay.
  void move_to_neighbours(uint64_t seed) {
    const auto move = [&](std::vector<float>& values) {
      const std::vector<float> directions = random_values(static_cast<int64_t>(values.size()), ++seed);
      for (size_t i = 0; i < values.size(); ++i)
        values[i] = std::nextafter(values[i], std::copysign(HUGE_VALF, directions[i]));
    };
    if (network_.input().dtype() != DType::i32) move(input_);
    for (size_t p = 0; p < layout().parameters.size(); ++p) {
      std::vector<float> values = test::from_backend(exec_, parameter(p));
      move(values);
      test::to_backend(exec_, parameter(p), values);
    }
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

/// What one micro-batch gives, by name: the output, gradients, sums of statistics and running statistics.
inline std::map<std::string, test::Doubles> results_of(NetworkRun& run) {
  std::map<std::string, test::Doubles> results = {{"output", test::to_double(run.forward())}};
  run.backward();
  const ParameterLayout& layout = run.layout();
  for (size_t p = 0; p < layout.parameters.size(); ++p)
    results["gradient of " + layout.parameters[p].name] = test::to_double(run.gradient(p));
  for (size_t s = 0; s < layout.states.size(); ++s)
    results["sums of " + layout.states[s].name] = test::to_double(run.state_sums(s));
  results["states"] = test::to_double(run.states_after_update());
  return results;
}

/// Compares results_of() with the CPU's, by the norm of the difference.
///
/// No fixed bound fits all networks. An operation that rounds has the result of one that does not for inputs
/// that differ in their last digits, so two backends may differ as much as results move when inputs and
/// parameters are moved to neighbouring floats. That is 1e-7 of a gradient in an MLP, but 1e-3 in a deep
/// network with batch norms of few values, which divide small differences by small deviations. How far the
/// CPU's results move is measured, for each tensor; a layer rounds a few times, and each parameter is moved
/// once.
inline void expect_as_on_cpu(Exec exec, const Graph& graph) {
  constexpr double kRoundings = 4, kWellConditioned = 1e-5;
  NetworkRun run(exec, graph), reference({}, graph);
  const auto actual = results_of(run), expected = results_of(reference);
  std::map<std::string, double> moved;
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    NetworkRun neighbour({}, graph);
    neighbour.move_to_neighbours(seed);
    for (const auto& [name, values] : results_of(neighbour))
      moved[name] = std::max(moved[name], test::distance(values, expected.at(name)));
  }
  double all_gradients = 0;
  for (const auto& [name, values] : expected)
    if (name.starts_with("gradient")) all_gradients = std::hypot(all_gradients, test::norm(values));
  for (const auto& [name, values] : expected) {
    double allowed = kWellConditioned * test::norm(values) + kRoundings * moved[name];
    // Of a sum whose terms cancel, as for a bias ahead of a batch norm, only their roundings are left.
    if (name.starts_with("gradient")) allowed += 0x1p-23 * all_gradients;
    EXPECT_LE(test::distance(actual.at(name), values), allowed)
        << name << " of norm " << test::norm(values) << ", which moves by " << moved[name]
        << " with the last digits of the network's input and parameters";
  }
}

}  // namespace lockstep

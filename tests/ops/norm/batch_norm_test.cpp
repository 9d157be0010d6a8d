#include <algorithm>
#include <cmath>

#include "src/ops/norm/batch_norm.h"

#include "tests/support/harness/op_case.h"
#include "tests/support/oracles.h"

namespace lockstep::test {
namespace {

constexpr float kEpsilon = 1e-3f;

/// What follows the normalization.
struct Behind {
  bool adds = false, relu = false;

  BatchNormEpilogue forward(const OpCall& c) const { return {adds ? c["added"] : Tensor{}, relu}; }
  BatchNormEpilogueGradient backward(const OpCall& c) const {
    return {relu, adds && relu ? c["y"] : Tensor{}, adds ? c["dadded"] : Tensor{}};
  }
  Doubles of(Doubles y, const Values& in) const {
    for (size_t i = 0; i < y.size(); ++i) {
      if (adds) y[i] += in["added"][i];
      if (relu) y[i] = std::max(y[i], 0.0);
    }
    return y;
  }
  std::string name() const { return std::string(adds ? ", a sum" : "") + (relu ? ", a ReLU" : ""); }
};

constexpr Behind kBehind[] = {{}, {.relu = true}, {.adds = true}, {.adds = true, .relu = true}};

/// Of all rows: (x - mean) / sqrt(variance + epsilon) * scale + shift.
Doubles normalized(const Doubles& x, const Doubles& mean, const Doubles& variance, const Doubles& scale,
                   const Doubles& shift) {
  Doubles y;
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t c = i % mean.size();
    y.push_back((x[i] - mean[c]) / std::sqrt(variance[c] + kEpsilon) * scale[c] + shift[c]);
  }
  return y;
}

/// What forward computes of samples that are all real.
Values oracle_of(const Shape& shape, const Behind& behind, const Values& in) {
  const int64_t channels = shape[-1], rows = shape.elements() / channels;
  if (rows == 0) return {{"y", {}}, {"sums", Doubles(static_cast<size_t>(2 * channels))}};
  const oracle::BatchNorm expected =
      oracle::batch_norm(rows, channels, kEpsilon, in["x"], in["scale"], in["shift"]);
  Values out = {{"y", behind.of(expected.y, in)}, {"mean", expected.mean}};
  const auto samples = static_cast<double>(shape[0]);
  for (const double variance : expected.biased_variance)
    out["inverse_std"].push_back(1 / std::sqrt(variance + kEpsilon));
  for (const double mean : expected.mean) out["sums"].push_back(samples * mean);
  for (size_t c = 0; c < static_cast<size_t>(channels); ++c)  // a single value has no variance
    out["sums"].push_back(samples * (rows == 1 ? in["running"][static_cast<size_t>(channels) + c]
                                               : expected.unbiased_variance[c]));
  return out;
}

OpCase forward_case(const Shape& shape, const Fill& x = between(-1, 3), const Tolerance& y = kNormalized,
                    const Tolerance& sums = kSum, const Behind& behind = {}) {
  const Shape channels{shape[-1]}, both{2, shape[-1]};
  OpCase op;
  op.input("x", shape, x).input("scale", channels, between(0.5, 2)).input("shift", channels);
  op.input("running", both, between(0.6, 0.8));
  if (behind.adds) op.input("added", shape);
  op.output("y", shape, y).output("mean", channels, kSum).output("inverse_std", channels, kNormalized);
  op.output("sums", both, sums);
  op.runs(
      [behind](const OpCall& c) {
        batch_norm_forward(c.exec, c.info, kEpsilon, c["x"], c["scale"], c["shift"], c["running"], c["y"],
                           c["mean"], c["inverse_std"], c["sums"], behind.forward(c));
      },
      [behind](const OpCall& c) {
        batch_norm_backward(c.exec, c.info, c["x"], c["scale"], c["shift"], c["mean"], c["inverse_std"],
                            c["dy"], c["dx"], c["dscale"], c["dshift"], behind.backward(c));
      });
  op.oracle = [shape, behind](const Values& in) { return oracle_of(shape, behind, in); };
  op.activations = {"x", "y", "added"};
  op.info.valid = static_cast<int32_t>(shape[0]);
  return op;
}

OpCase batch_norm_case(const Shape& shape, const Behind& behind = {}) {
  OpCase op = forward_case(shape, between(-1, 3), kNormalized, kSum, behind);
  const Parts channels{.last = shape[-1]};
  op.output_gradient("y").gradient("x", kNormalized, channels).gradient("scale", kNormalized, channels);
  op.gradient("shift", kGradient, channels);
  if (behind.adds) op.gradient("added", kGradient, channels);
  if (behind.relu) op.kinks = 0.01, op.overwritten = {"dy"};
  op.may_alias = {{"dx", "dy"}};
  if (behind.adds) op.may_alias.emplace_back("dadded", "dy");
  op.may_be_absent = {"dx"};
  if (behind.adds) op.may_be_absent.emplace_back("dadded");
  op.is_padded = true;
  return op;
}

/// The statistics of 100000 rows, and their gradient of the shift.
OpCase many_rows() {
  const Shape shape{100000, 1};
  const Tolerance rounded{0, 2e-7, "two roundings to float"};
  OpCase op = forward_case(shape, between(0, 1), kNormalized, rounded);
  op.output_gradient("y", between(0, 1));
  op.gradient("shift", {0, 3e-7, "blocks are added in float, their sums in double"});
  op.output("dx", shape, kNormalized).output("dscale", {1}, kNormalized);
  return op;
}

/// Channels with a mean of 1000 spreads, exact in float.
Fill far_from_zero() {
  return {.map = [i = 0](double value) mutable {
    return (i++ % 2 == 0 ? 1000 : -3000) + std::round(value * 512) / 512;
  }};
}

const RegisterOp kBatchNorm("batch_norm", [](Op& op) {
  // Channels that fill what a thread of a GPU reads at once, and that do not; more rows than it handles.
  for (const Shape& shape : {Shape{4, 3, 2, 5}, Shape{6, 1}, Shape{7, 70}, Shape{2, 1, 1, 3}, Shape{5, 4, 3},
                             Shape{3, 2, 2, 4}, Shape{9, 15, 8}, Shape{3, 5, 136}})
    for (const Behind& behind : kBehind)
      if (shape.elements() < 1000 || behind.adds == behind.relu)
        op.add("samples of " + to_string(shape.sample()) + behind.name(), shape[0],
               [=](int64_t n) { return batch_norm_case(shape.sample().batched(n), behind); });
  // A sum of x itself, or x * factor + offset, does not survive. The saved mean is a float: half a unit in
  // the last place of 3000, in standard deviations.
  op.add("a large mean costs no digits",
         forward_case({2000, 2}, far_from_zero(), {5e-4, 1e-6, "the saved mean is rounded"},
                      {0, 2e-7, "two roundings to float"}));
  op.add("many rows are added without losing digits", many_rows());
  op.time("batch_norm", 64, [](int64_t n) { return batch_norm_case({n, 16, 16, 64}); });
});

OpCase inference_case(const Shape& shape, const Fill& x, const Fill& mean, const Fill& variance,
                      const Tolerance& tolerance, const Behind& behind = {}) {
  const Shape channels{shape[-1]};
  OpCase op;
  if (behind.adds) op.input("added", shape);
  op.input("x", shape, x).input("scale", channels).input("shift", channels);
  op.input("mean", channels, mean).input("variance", channels, variance).output("y", shape, tolerance);
  op.runs(
      [behind](const OpCall& c) {
        batch_norm_inference(c.exec, kEpsilon, c["x"], c["scale"], c["shift"], c["mean"], c["variance"],
                             c["y"], behind.forward(c));
      },
      [behind](const OpCall& c) {
        batch_norm_inference_backward(c.exec, kEpsilon, c["x"], c["scale"], c["shift"], c["mean"],
                                      c["variance"], c["dy"], c["dx"], behind.backward(c));
      });
  op.oracle = [behind](const Values& in) {
    const Doubles y = normalized(in["x"], in["mean"], in["variance"], in["scale"], in["shift"]);
    return Values{{"y", behind.of(y, in)}};
  };
  op.activations = {"x", "y", "added"};
  return op;
}

/// As a frozen layer has it.
OpCase with_gradient(const Shape& shape, const Behind& behind) {
  OpCase op = inference_case(shape, {}, {}, between(0.1, 2), kNormalized, behind);
  const Parts elements{.first = shape.elements()};
  op.output_gradient("y").gradient("x", kGradient, elements);
  if (behind.adds) op.gradient("added", kGradient, elements);
  if (behind.relu) op.kinks = 0.01, op.overwritten = {"dy"};
  op.may_alias = {{"dx", "dy"}};
  if (behind.adds) op.may_alias.emplace_back("dadded", "dy");
  op.may_be_absent = {"dx"};
  if (behind.adds) op.may_be_absent.emplace_back("dadded");
  return op;
}

const RegisterOp kInference("batch_norm_inference", [](Op& op) {
  for (const Behind& behind : kBehind)
    for (const Shape& shape : {Shape{2, 2, 5}, Shape{3, 16}})
      op.add("running statistics of " + to_string(shape) + behind.name(), 3,
             [=](int64_t n) { return with_gradient(shape.batched(n), behind); });
  OpCase alias = inference_case({3, 2, 2, 5}, {}, {}, between(0.1, 2), kNormalized);
  alias.may_alias = {{"y", "x"}};
  alias.runs([](const OpCall& c) {
    batch_norm_inference(c.exec, kEpsilon, c["x"], c["scale"], c["shift"], c["mean"], c["variance"], c["y"]);
  });
  op.add("in place", alias);
  op.add("a large mean costs no digits",
         inference_case({2000, 2}, far_from_zero(), exactly({1000, -3000}), exactly({0.25, 0.5}),
                        {1e-6, 1e-6, "a few roundings of numbers of size 1"}));
});

/// guard: what the guard of the step holds, or nothing for none.
OpCase running_update_case(const Doubles& guard) {
  constexpr int64_t kChannels = 1000;  // more than one round of a kernel
  OpCase op;
  op.input("sums", {2, kChannels}, between(0, 8));
  op.state("running", {2, kChannels}, between(0, 1), kRounding);
  if (!guard.empty()) op.input("guard", {2}, exactly(guard), DType::i32);
  op.info.weight = 0.125f;
  op.runs([](const OpCall& c) {
    batch_norm_running_update(c.exec, c.info, 0.1f, c["sums"], c["running"],
                              static_cast<const StepGuard*>(c["guard"].raw()));
  });
  op.oracle = [](const Values& in) {
    Values out = {{"running", in["running"]}};
    const bool applies = in["guard"].empty() || in["guard"][1] != 0;
    for (size_t i = 0; applies && i < in["sums"].size(); ++i)
      out["running"][i] = 0.9 * out["running"][i] + 0.1 * in["sums"][i] / 8;
    return out;
  };
  return op;
}

// Towards the mean of the global batch, unless the step does not apply.
const RegisterOp kRunningUpdate("batch_norm_running_update", [](Op& op) {
  op.add("no guard", running_update_case({}));
  op.add("a step that applies", running_update_case({0, 1}));
  op.add("a step that does not apply", running_update_case({1, 0}));
});

}  // namespace
}  // namespace lockstep::test

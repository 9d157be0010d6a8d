#include "src/ops/conv/conv.h"

#include <gmock/gmock.h>

#include <cmath>
#include <memory>

#include "src/device/devices.h"
#include "tests/support/backend.h"
#include "tests/support/harness/op_case.h"
#include "tests/support/oracles.h"
#ifdef LOCKSTEP_EMULATED_CUDA
#include "src/device/cuda_context.h"
#include "tests/support/emulator/cudnn_backend.h"
#endif

namespace lockstep::test {
namespace {

OpCase conv_case(const ConvSpec& spec, const Fill& x = {}) {
  OpCase op;
  op.input("x", spec.input(), x);
  op.input("w", spec.weights());
  if (spec.bias) op.input("b", {spec.features()});
  op.output("y", spec.output(), kSum);
  op.activations = {"x", "y"};
  op.parameters = {"w", "b"};
  op.rounded = {"dw"};
  op.prepare = [=](Exec exec, DType type) {
    ConvSpec typed = spec;
    typed.type = type;
    const auto conv = std::make_shared<Conv>(exec, typed);
    return OpRoutines{[=](const OpCall& c) { conv->forward(c["x"], c["w"], c["b"], c["y"], c.workspace); },
                      [=](const OpCall& c) {
                        conv->backward(c["x"], c["w"], spec.relu ? c["y"] : Tensor{}, c["dy"], c["dx"],
                                       c["dw"], c["db"], c.workspace);
                      },
                      conv->workspace_bytes()};
  };
  op.oracle = [=](const Values& in) { return Values{{"y", oracle::conv(spec, in["x"], in["w"], in["b"])}}; };
  op.flops = static_cast<double>(spec.flops());
  return op;
}

OpCase with_gradients(const ConvSpec& spec) {
  OpCase op = conv_case(spec);
  op.output_gradient("y");
  if (spec.needs_dx) op.gradient("x", kGradient, {.first = spec.samples});
  // What dx is added to has no such parts, and a transposed filter has several outputs.
  const int64_t filters = spec.adds_to_dx || spec.transposed ? 1 : spec.filters;
  op.gradient("w", kGradient, {.first = filters}, {.last = filters});
  if (spec.bias) op.gradient("b", kGradient, {.last = spec.adds_to_dx ? 1 : spec.features()});
  if (spec.relu) op.kinks = 0.01, op.overwritten = {"dy"};
  if (spec.adds_to_dx) op.adds_to_gradient("x");
  return op;
}

Op::Make conv_of_any_batch(ConvSpec spec) {
  return [spec](int64_t n) mutable {
    spec.samples = n;
    return with_gradients(spec);
  };
}

/// Axes are {extent, window, stride, padding before, padding behind, dilation}.
struct ConvCase {
  const char* name;
  ConvSpec spec;
};

const ConvCase kPlane[] = {
    {"plain", {.samples = 2, .channels = 3, .filters = 4, .axes = {{5, 3}, {6, 3}}}},
    {"one of everything", {.samples = 1, .channels = 1, .filters = 1, .axes = ConvAxes(2)}},
    {"one channel", {.samples = 2, .channels = 1, .filters = 5, .axes = {{6, 3}, {5, 3}}}},
    {"padding", {.samples = 1, .channels = 2, .filters = 3, .axes = {{4, 3, 1, 1, 1}, {5, 3, 1, 2, 2}}}},
    {"stride that leaves rows over",
     {.samples = 2, .channels = 2, .filters = 3, .axes = {{8, 3, 3}, {7, 2, 2}}}},
    {"dilation",
     {.samples = 1, .channels = 2, .filters = 2, .axes = {{7, 3, 1, 0, 0, 2}, {8, 3, 1, 0, 0, 3}}}},
    {"all at once",
     {.samples = 2, .channels = 4, .filters = 6, .axes = {{7, 3, 2, 1, 1}, {6, 2, 1, 1, 1, 2}}, .groups = 2}},
    {"groups", {.samples = 1, .channels = 6, .filters = 9, .axes = {{4, 3}, {4, 3}}, .groups = 3}},
    {"1 x 1", {.samples = 3, .channels = 7, .filters = 5, .axes = {{3}, {4}}}},
    {"1 x 1 with a stride", {.samples = 2, .channels = 4, .filters = 3, .axes = {{5, 1, 2}, {5, 1, 2}}}},
    {"the whole input", {.samples = 2, .channels = 3, .filters = 4, .axes = {{3, 3}, {4, 4}}}},
    {"no bias", {.samples = 2, .channels = 3, .filters = 2, .axes = {{4, 2}, {4, 2}}, .bias = false}},
    {"ReLU", {.samples = 2, .channels = 3, .filters = 4, .axes = {{4, 3}, {4, 3}}, .relu = true}},
    {"ReLU without a bias",
     {.samples = 2, .channels = 3, .filters = 4, .axes = {{4, 3}, {4, 3}}, .bias = false, .relu = true}},
    {"first layer", {.samples = 2, .channels = 1, .filters = 4, .axes = {{6, 3}, {6, 3}}, .needs_dx = false}},
    {"channels of vector length", {.samples = 1, .channels = 16, .filters = 16, .axes = {{4, 2}, {3, 2}}}},
    {"channels beyond vector length",
     {.samples = 1, .channels = 17, .filters = 19, .axes = {{3, 2}, {3, 2}}}},
    // As TensorFlow's padding "same" with a stride of 2.
    {"more padding behind",
     {.samples = 2, .channels = 3, .filters = 4, .axes = {{6, 3, 2, 0, 1}, {5, 4, 1, 1, 2}}}},
    {"more padding in front",
     {.samples = 1, .channels = 2, .filters = 3, .axes = {{4, 3, 1, 2}, {4, 2, 1, 1}}, .needs_dx = false}},
    // With dilation the emulated cuDNN has no engine, and its older calls pad both sides alike.
    {"dilation and more padding behind",
     {.samples = 2, .channels = 3, .filters = 4, .axes = {{6, 3, 2, 0, 1}, {6, 3, 1, 1, 2, 2}}}},
    {"padding behind that no window reaches",
     {.samples = 1, .channels = 2, .filters = 3, .axes = {{5, 3, 2, 0, 1}, {3, 2}}}},
};

const ConvCase kOtherAxes[] = {
    {"1-D", {.samples = 2, .channels = 3, .filters = 4, .axes = {{9, 4}}}},
    {"1-D, all at once",
     {.samples = 2, .channels = 4, .filters = 6, .axes = {{13, 3, 2, 2, 2, 3}}, .groups = 2, .relu = true}},
    {"1-D, more padding behind", {.samples = 1, .channels = 2, .filters = 3, .axes = {{6, 4, 1, 1, 2}}}},
    {"3-D", {.samples = 2, .channels = 2, .filters = 3, .axes = {{3, 2}, {4, 3}, {3, 2}}}},
    {"3-D, all at once",
     {.samples = 1,
      .channels = 2,
      .filters = 3,
      .axes = {{5, 2, 2, 1, 1}, {4, 2, 1, 0, 0, 2}, {3, 3, 1, 1, 1}},
      .bias = false,
      .relu = true}},
    {"3-D, more padding behind",
     {.samples = 1, .channels = 2, .filters = 2, .axes = {{3, 2, 1, 0, 1}, {4, 3, 2, 0, 1}, {2}}}},
    // The emulated cuDNN offers nothing for these: the direct kernels compute them.
    {"3-D groups",
     {.samples = 2,
      .channels = 4,
      .filters = 6,
      .axes = {{3, 2, 2, 1}, {4, 2, 1, 0, 0, 2}, {3, 2, 1, 0, 1}},
      .groups = 2}},
};

const ConvCase kDepthwise[] = {
    {"depthwise",
     {.samples = 2, .channels = 5, .filters = 5, .axes = {{9, 3, 1, 1, 1}, {9, 3, 1, 1, 1}}, .groups = 5}},
    {"depthwise with a multiplier",
     {.samples = 1, .channels = 3, .filters = 6, .axes = {{4, 2}, {5, 2}}, .groups = 3}},
    {"depthwise, all at once",
     {.samples = 2,
      .channels = 33,
      .filters = 33,
      .axes = {{6, 3, 2, 0, 1}, {7, 2, 1, 1, 2, 3}},
      .groups = 33,
      .relu = true}},
    {"depthwise 1-D", {.samples = 2, .channels = 4, .filters = 4, .axes = {{11, 5, 1, 2, 2}}, .groups = 4}},
    {"depthwise 3-D",
     {.samples = 1,
      .channels = 3,
      .filters = 3,
      .axes = {{4, 2}, {3, 3, 1, 1, 1}, {5, 2, 2}},
      .groups = 3,
      .bias = false}},
    {"depthwise with filters that shared memory does not hold",
     {.samples = 1, .channels = 2, .filters = 2, .axes = {{133, 130}}, .groups = 2}},
};

// The extents are those of the output.
const ConvCase kTransposed[] = {
    {"transposed",
     {.samples = 2, .channels = 3, .filters = 4, .axes = {{8, 2, 2}, {6, 2, 2}}, .transposed = true}},
    {"transposed, windows that overlap",
     {.samples = 1,
      .channels = 2,
      .filters = 3,
      .axes = {{7, 3, 2, 1, 1}, {5, 3}},
      .transposed = true,
      .relu = true}},
    {"transposed, outputs that no window reaches",
     {.samples = 2, .channels = 2, .filters = 2, .axes = {{9, 2, 3}, {7, 2, 2}}, .transposed = true}},
    {"transposed, more padding behind",
     {.samples = 1,
      .channels = 3,
      .filters = 2,
      .axes = {{6, 3, 2, 0, 1}, {4, 2}},
      .transposed = true,
      .bias = false}},
    {"transposed first layer",
     {.samples = 2,
      .channels = 4,
      .filters = 2,
      .axes = {{5, 3}, {4, 2}},
      .transposed = true,
      .needs_dx = false}},
    {"transposed 1-D groups",
     {.samples = 2,
      .channels = 6,
      .filters = 4,
      .axes = {{9, 4, 2, 0, 0, 2}},
      .groups = 2,
      .transposed = true}},
    {"transposed 3-D",
     {.samples = 1, .channels = 2, .filters = 3, .axes = {{4, 2, 2}, {3, 2}, {2}}, .transposed = true}},
    {"transposed depthwise",
     {.samples = 1,
      .channels = 3,
      .filters = 3,
      .axes = {{6, 2, 2}, {5, 3}},
      .groups = 3,
      .transposed = true}},
};

/// What adds to the gradient of the data: cuDNN, and an addition behind what cannot.
const ConvCase kAdding[] = {
    // No more positions than filters: on the CPU, the filters' gradient is a product of matrices.
    {"many filters",
     {.samples = 2, .channels = 3, .filters = 20, .axes = {{3, 2, 1, 0, 1}, {3, 3, 1, 1, 1}}}},
    {"many filters, stride and dilation",
     {.samples = 1,
      .channels = 5,
      .filters = 24,
      .axes = {{9, 3, 2, 2, 1, 2}, {7, 2, 3, 1, 0, 3}},
      .relu = true}},
    {"many filters, 3-D",
     {.samples = 1, .channels = 2, .filters = 33, .axes = {{3, 2, 1, 1, 0}, {4, 3}, {5, 3, 2, 1, 1}}}},
    {"many filters, 1-D",
     {.samples = 2, .channels = 3, .filters = 12, .axes = {{7, 4, 2, 1, 2}}, .bias = false}},
    {"many filters, transposed",
     {.samples = 1, .channels = 3, .filters = 16, .axes = {{5, 2, 2}, {6, 3, 2}}, .transposed = true}},
    {"adds to dx", {.samples = 2, .channels = 3, .filters = 4, .axes = {{5, 3}, {6, 3}}, .adds_to_dx = true}},
    {"adds to dx, more padding behind",
     {.samples = 2, .channels = 3, .filters = 4, .axes = {{6, 3, 2, 0, 1}, {5, 3}}, .adds_to_dx = true}},
    {"adds to dx, depthwise",
     {.samples = 2, .channels = 5, .filters = 5, .axes = {{6, 3}, {7, 3}}, .groups = 5, .adds_to_dx = true}},
    {"adds to dx, transposed",
     {.samples = 2,
      .channels = 3,
      .filters = 4,
      .axes = {{8, 2, 2}, {6, 2, 2}},
      .transposed = true,
      .adds_to_dx = true}},
};

const ConvSpec kFirst = {
    .channels = 1, .filters = 32, .axes = {{28, 3}, {28, 3}}, .relu = true, .needs_dx = false};
const ConvSpec kSecond = {.channels = 32, .filters = 64, .axes = {{13, 3}, {13, 3}}, .relu = true};
/// As in MobileNet.
const ConvSpec kMobile = {
    .channels = 64, .filters = 64, .axes = {{28, 3, 1, 1, 1}, {28, 3, 1, 1, 1}}, .groups = 64, .bias = false};
const ConvSpec kVolume = {
    .channels = 8, .filters = 16, .axes = {{16, 3, 1, 1, 1}, {16, 3, 1, 1, 1}, {16, 3, 1, 1, 1}}};
/// As in a U-Net.
const ConvSpec kUp = {.channels = 32, .filters = 64, .axes = {{28, 2, 2}, {28, 2, 2}}, .transposed = true};

const RegisterOp kConv("conv", [](Op& op) {
  for (const auto& [name, spec] : kPlane) op.add(name, spec.samples, conv_of_any_batch(spec));
  for (const auto& [name, spec] : kOtherAxes) op.add(name, spec.samples, conv_of_any_batch(spec));
  for (const auto& [name, spec] : kDepthwise) op.add(name, spec.samples, conv_of_any_batch(spec));
  for (const auto& [name, spec] : kAdding) op.add(name, spec.samples, conv_of_any_batch(spec));
  for (const auto& [name, spec] : kTransposed) op.add(name, spec.samples, conv_of_any_batch(spec));
  // A ReLU that turns NaN into zero would hide that the training has diverged.
  Fill with_nan;
  with_nan.map = [seen = 0](double value) mutable { return seen++ == 20 ? std::nan("") : value; };
  op.add("NaN and a fused ReLU",
         conv_case({.samples = 2, .channels = 3, .filters = 20, .axes = {{4, 3}, {4, 3}}, .relu = true},
                   with_nan));
  op.time("first", 64, conv_of_any_batch(kFirst));
  // The gradient of the weights is a sum over the batch, which oneDNN would split over the threads it is
  // offered.
  op.time("second", 32, conv_of_any_batch(kSecond));
  op.time("depthwise", 16, conv_of_any_batch(kMobile));
  op.time("3-D", 4, conv_of_any_batch(kVolume));
  op.time("transposed", 8, conv_of_any_batch(kUp));
});

class ConvTest : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(ConvTest);

TEST_P(ConvTest, AnImpossibleSpecIsABug) {
  const auto conv = [&](const ConvSpec& spec) { Conv(exec(), spec); };
  EXPECT_THROW(conv({.samples = 1, .channels = 1, .filters = 1, .axes = {{2, 3, 2}, {5, 3}}}), Error);
  EXPECT_THROW(conv({.samples = 1, .channels = 3, .filters = 4, .axes = {{5}}, .groups = 2}), Error);
  EXPECT_THROW(ConvAxes(4), Error);
}

// Our direct kernels need no workspace, and would compute any type if cuDNN refused it.
TEST_P(ConvTest, LeavesEveryTypeToTheLibrary) {
  if (!exec().on_cuda()) return;
  for (const DType type : {DType::bf16, DType::f16})
    EXPECT_GT(
        Conv(exec(), {.samples = 2, .channels = 16, .filters = 16, .axes = {{8, 3}, {8, 3}}, .type = type})
            .workspace_bytes(),
        0u)
        << to_string(type);
}

#ifdef LOCKSTEP_EMULATED_CUDA

struct ConvResults {
  std::vector<float> y, dx, dw, db;
};

ConvResults run_conv(Exec exec, const ConvSpec& spec) {
  Conv conv(exec, spec);
  const auto input = [&](const Shape& shape, uint64_t seed) {
    return Guarded<float>(exec, shape, random_values(shape.elements(), seed));
  };
  const Guarded<float> x = input(spec.input(), 1), w = input(spec.weights(), 2), b = input({spec.filters}, 3),
                       dy = input(spec.output(), 4);
  const Guarded<float> y(exec, spec.output()), dx(exec, spec.input()), dw(exec, spec.weights()),
      db(exec, {spec.filters});
  const Guarded<uint8_t> scratch = workspace(exec, conv.workspace_bytes());
  conv.forward(x, w, b, y, scratch);
  conv.backward(x, w, {}, dy, dx, dw, db, scratch);
  return {y.values(), dx.values(), dw.values(), db.values()};
}

TEST(EmulatedConv, ComputesTheSameWithACudnnThatOffersNoEngines) {
  if (find_devices().gpus.empty()) GTEST_SKIP() << "LOCKSTEP_EMULATED_GPUS is not set";
  // More padding behind, which the older calls cannot do.
  const ConvSpec spec = {.samples = 2, .channels = 8, .filters = 6, .axes = {{7, 3, 2, 0, 1}, {6, 3}}};
  CudaContext with(0), without(0);
  const ConvResults expected = run_conv({&with}, spec);
  emulator::cudnn::offer_engines(false);
  const ConvResults results = run_conv({&without}, spec);
  emulator::cudnn::offer_engines(true);
  EXPECT_THAT(results.y, testing::Pointwise(testing::FloatNear(1e-4f), expected.y));
  EXPECT_THAT(results.dx, testing::Pointwise(testing::FloatNear(1e-4f), expected.dx));
  EXPECT_THAT(results.dw, testing::Pointwise(testing::FloatNear(1e-4f), expected.dw));
  EXPECT_THAT(results.db, testing::Pointwise(testing::FloatNear(1e-4f), expected.db));
  // The older calls need a padded copy of the data, the engine for float no memory at all.
  EXPECT_EQ(Conv({&with}, spec).workspace_bytes(), 0u);
  EXPECT_GT(Conv({&without}, spec).workspace_bytes(), 0u);
}

#endif

TEST_P(ConvTest, RoundsFloatOnlyIfItMay) {
  constexpr float kJustAboveOne = 1 + 0x1p-12f;  // 1 as TF32
  const auto product = [&](bool tf32) {
    Conv conv(exec(), {.samples = 1,
                       .channels = 1,
                       .filters = 1,
                       .axes = {{1}, {1}},
                       .bias = false,
                       .needs_dx = false,
                       .tf32 = tf32});
    const Guarded<float> x(exec(), {1, 1, 1, 1}, {kJustAboveOne}), w(exec(), {1, 1, 1, 1}, {1});
    const Guarded<float> y(exec(), {1, 1, 1, 1});
    const Guarded<uint8_t> scratch = workspace(exec(), conv.workspace_bytes());
    conv.forward(x, w, {}, y, scratch);
    return y.values()[0];
  };
  EXPECT_EQ(product(false), kJustAboveOne);
#ifdef LOCKSTEP_EMULATED_CUDA
  EXPECT_EQ(product(true), exec().on_cuda() ? 1 : kJustAboveOne);
#endif
}

}  // namespace
}  // namespace lockstep::test

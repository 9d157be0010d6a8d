#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <functional>

#include "src/ops/check.h"
#include "src/ops/pointwise/activation.h"
#include "src/ops/pointwise/add.h"
#include "src/ops/pointwise/bias.h"
#include "src/ops/pointwise/cast.h"
#include "tests/support/backend.h"
#include "tests/support/harness/op_case.h"
#include "tests/support/oracles.h"

namespace lockstep::test {
namespace {

bool has_kinks(Activation function) {
  return function == Activation::relu || function == Activation::leaky_relu || function == Activation::relu6;
}

Tolerance tolerance(Activation function) {
  if (function == Activation::relu || function == Activation::relu6) return kExact;
  return function == Activation::leaky_relu ? kRounding : kFunction;
}

OpCase activation_forward_case(const ActivationSpec& spec, const Shape& shape, const Fill& x) {
  OpCase op;
  op.input("x", shape, x).output("y", shape, tolerance(spec.function));
  const char* const saved = backward_reads_input(spec.function) ? "x" : "y";
  op.runs([=](const OpCall& c) { activation_forward(c.exec, spec, c["x"], c["y"]); },
          [=](const OpCall& c) { activation_backward(c.exec, spec, c[saved], c["dy"], c["dx"]); });
  op.oracle = [=](const Values& in) { return Values{{"y", oracle::activation(spec, in["x"])}}; };
  if (!backward_reads_input(spec.function)) op.may_alias = {{"y", "x"}};
  op.activations = {"x", "y"};
  op.any_address = true;
  return op;
}

OpCase activation_case(const ActivationSpec& spec, const Shape& shape) {
  OpCase op = activation_forward_case(spec, shape, between(-8, 8));
  op.output_gradient("y").gradient("x", kGradient, {.first = shape.elements()});
  op.may_alias.emplace_back("dx", "dy");
  if (has_kinks(spec.function)) op.kinks = 0.001;
  return op;
}

const RegisterOp kActivation("activation", [](Op& op) {
  for (const Activation function : activations()) {
    const std::string name = to_string(function);
    const ActivationSpec spec(function, 0.3f);
    op.add(name, {7, 33, 1000, 4099}, [spec](int64_t count) { return activation_case(spec, {count}); });
    // They stay finite, and NaN stays visible.
    op.add("extremes of " + name,
           activation_forward_case(spec, {7}, exactly({-1e30, -100, -0., 0, 100, 1e30, kNaN})));
    op.time(name, 64, [spec](int64_t n) { return activation_case(spec, {n, 26, 26, 32}); });
  }
});

OpCase add_case(const Shape& shape, const Fill& a, const Fill& b) {
  OpCase op;
  op.input("a", shape, a).input("b", shape, b).output("y", shape, kRounding);
  op.runs([](const OpCall& c) { add(c.exec, c["a"], c["b"], c["y"]); });
  op.oracle = [](const Values& in) {
    Doubles y = in["a"];
    std::transform(y.begin(), y.end(), in["b"].begin(), y.begin(), std::plus<>());
    return Values{{"y", y}};
  };
  op.may_alias = {{"y", "a"}, {"y", "b"}};
  op.activations = {"a", "b", "y"};
  return op;
}

const RegisterOp kAdd("add", [](Op& op) {
  op.add("any length", {31, 1027}, [](int64_t count) { return add_case({count}, {}, {}); });
  op.add("infinity and NaN", add_case({2}, exactly({kInfinity, kInfinity}), exactly({1, -kInfinity})));
  op.time("add", 64, [](int64_t n) { return add_case({n, 26, 26, 32}, {}, {}); });
});

/// The tensor that is named `narrow` has the type of the activations, the other is f32.
OpCase cast_case(int64_t count, const std::string& narrow) {
  OpCase op;
  op.input("x", {count}, between(-300, 300)).output("y", {count}, kExact);
  op.runs([](const OpCall& c) { cast(c.exec, c["x"], c["y"]); });
  op.oracle = [](const Values& in) { return Values{{"y", in["x"]}}; };
  op.activations = {narrow};
  return op;
}

const RegisterOp kCast("cast", [](Op& op) {
  for (const std::string narrow : {"x", "y"})
    op.add("between f32 and the type of " + narrow, {31, 1027},
           [narrow](int64_t count) { return cast_case(count, narrow); });
});

Doubles with_bias(const Values& in) {
  Doubles sum = in["x"];
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += in["b"][i % in["b"].size()];
  return sum;
}

OpCase bias_case(const Shape& shape) {
  OpCase op;
  op.input("x", shape).input("b", {shape[-1]}).output("y", shape, kRounding);
  op.output_gradient("y").gradient("b", kSum, {.last = shape[-1]});
  op.runs([](const OpCall& c) { bias_forward(c.exec, c["x"], c["b"], c["y"]); },
          [](const OpCall& c) { bias_backward(c.exec, c["dy"], c["db"]); });
  op.oracle = [](const Values& in) { return Values{{"y", with_bias(in)}}; };
  op.may_alias = {{"y", "x"}};
  op.activations = {"x", "y"};
  op.parameters = {"b"};
  return op;
}

/// Forward with a ReLU.
OpCase bias_relu_case(const Shape& shape, const Fill& x = {}) {
  OpCase op;
  op.input("x", shape, x).input("b", {shape[-1]}).output("y", shape, kRounding);
  op.runs([](const OpCall& c) { bias_forward(c.exec, c["x"], c["b"], c["y"], /*relu=*/true); });
  op.oracle = [](const Values& in) {
    return Values{{"y", oracle::activation(Activation::relu, with_bias(in))}};
  };
  op.may_alias = {{"y", "x"}};
  op.activations = {"x", "y"};
  op.parameters = {"b"};
  return op;
}

/// The gradients of a bias behind which there is an activation, and of what it is added to. The bias is zero,
/// so that the sum is x, unrounded.
OpCase bias_activation_case(const Shape& shape, Activation activation) {
  OpCase op;
  op.input("x", shape, between(-3, 3));
  op.input("b", {shape[-1]}, exactly(Doubles(static_cast<size_t>(shape[-1]), 0)));
  op.output("y", shape, kFunction).output_gradient("y").gradient("x", kGradient, {.first = shape.elements()});
  op.gradient("b", kSum, {.last = shape[-1]});
  op.runs(
      [=](const OpCall& c) {
        expect(c["b"], DType::f32, {shape[-1]}, "bias: b");
        activation_forward(c.exec, activation, c["x"], c["y"]);
      },
      [=](const OpCall& c) {
        expect(c["dy"], c["dx"].dtype(), c["dx"].shape(), "bias: dy");
        copy(c.exec, c["dx"].raw(), c["dy"].raw(), c["dy"].bytes());
        bias_activation_backward(c.exec, activation, c[backward_reads_input(activation) ? "x" : "y"], c["dx"],
                                 c["db"]);
      });
  op.oracle = [=](const Values& in) { return Values{{"y", oracle::activation(activation, with_bias(in))}}; };
  if (activation == Activation::relu) op.kinks = 0.01;
  op.may_be_absent = {"db"};
  op.activations = {"x", "y"};
  op.rounded = {"db"};  // the sum of what is stored
  return op;
}

const RegisterOp kBias("bias", [](Op& op) {
  for (const Shape& shape : {Shape{1}, Shape{5}, Shape{3, 4, 70}, Shape{130}, Shape{4}, Shape{10}})
    op.add("samples of " + to_string(shape),
           shape == Shape{130}  ? 67
           : shape == Shape{10} ? 500
                                : 2,
           [shape](int64_t n) { return bias_case(shape.batched(n)); });
  for (const Shape& shape : {Shape{5}, Shape{3, 4, 72}, Shape{16}})
    op.add("and a ReLU, samples of " + to_string(shape), 40,
           [shape](int64_t n) { return bias_relu_case(shape.batched(n)); });
  op.add("NaN stays behind a ReLU", bias_relu_case({3, 1}, exactly({kNaN, -1, 2})));
  for (const Shape& shape : {Shape{5}, Shape{3, 4, 72}, Shape{16}})
    op.add("behind it relu, samples of " + to_string(shape), 40,
           [=](int64_t n) { return bias_activation_case(shape.batched(n), Activation::relu); });
  for (const Activation activation : {Activation::gelu, Activation::gelu_tanh})
    for (const Shape& shape : {Shape{5}, Shape{72}, Shape{16}})
      op.add(fmt::format("behind it {}, samples of {}", to_string(activation), to_string(shape)), 16,
             [=](int64_t n) { return bias_activation_case(shape.batched(n), activation); });
  op.time("bias", 64, [](int64_t n) { return bias_case({n, 26, 26, 32}); });
});

class ActivationTest : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(ActivationTest);

TEST_P(ActivationTest, ReluHasNoSlopeAtZero) {
  const Guarded<float> y(exec(), {2}, {0, 1}), dy(exec(), {2}, {5, 5}), dx(exec(), {2});
  activation_backward(exec(), Activation::relu, y, dy, dx);
  EXPECT_THAT(dx.values(), testing::ElementsAre(0, 5));
}

}  // namespace
}  // namespace lockstep::test

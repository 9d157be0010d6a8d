#include <gmock/gmock.h>

#include <algorithm>

#include "src/ops/pointwise/activation.h"
#include "src/ops/pointwise/add.h"
#include "src/ops/pointwise/bias.h"
#include "tests/support/backend.h"
#include "tests/support/oracles.h"

namespace lockstep::test {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

class ActivationTest : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(ActivationTest);

constexpr Activation kActivations[] = {Activation::relu, Activation::sigmoid, Activation::tanh,
                                       Activation::gelu};

TEST_P(ActivationTest, ForwardAndGradientMatchTheOracle) {
  for (const Activation kind : kActivations)
    for (const int64_t count : {1, 7, 33, 1000, 4099}) {
      SCOPED_TRACE(fmt::format("{} of {}", to_string(kind), count));
      const auto x = random_values(count, 1, -6, 6), dy = random_values(count, 2);
      const Guarded<float> in(exec(), {count}, x), in_dy(exec(), {count}, dy), y(exec(), {count}),
          dx(exec(), {count});
      activation_forward(exec(), kind, in, y);
      activation_backward(exec(), kind, backward_reads_input(kind) ? in : y, in_dy, dx);
      const Tolerance& tolerance = kind == Activation::relu ? kExact : kFunction;
      expect_close(y.values(), oracle::activation(kind, to_double(x)), tolerance, "y");
      // One element at a time, because the oracle is elementwise and differences over all of them would be
      // quadratic.
      const auto gradient = dx.values();
      for (size_t i = 0; i < x.size(); ++i)
        if (std::abs(x[i]) > 1e-3f)
          expect_gradient(
              {gradient[i]}, [&](const Doubles& at) { return oracle::activation(kind, at); }, {x[i]}, {dy[i]},
              "dx");
    }
}

TEST_P(ActivationTest, ExtremesStayFiniteAndNaNStaysVisible) {
  const std::vector<float> x = {-1e30f, -100, -0.f, 0, 100, 1e30f, kNaN};
  for (const Activation kind : kActivations) {
    SCOPED_TRACE(to_string(kind));
    const Guarded<float> in(exec(), {7}, x), y(exec(), {7});
    activation_forward(exec(), kind, in, y);
    expect_close(
        y.values(),
        [&] {
          Doubles expected = oracle::activation(kind, to_double({x.begin(), x.end() - 1}));
          expected.push_back(kNaN);
          return expected;
        }(),
        kFunction, "y");
  }
}

TEST_P(ActivationTest, ReluHasNoSlopeAtZero) {
  const Guarded<float> y(exec(), {2}, {0, 1}), dy(exec(), {2}, {5, 5}), dx(exec(), {2});
  activation_backward(exec(), Activation::relu, y, dy, dx);
  EXPECT_THAT(dx.values(), testing::ElementsAre(0, 5));
}

TEST_P(ActivationTest, WorksInPlace) {
  const auto x = random_values(100, 5, -3, 3);
  for (const Activation kind : kActivations) {
    SCOPED_TRACE(to_string(kind));
    const Guarded<float> in(exec(), {100}, x), y(exec(), {100}), dy(exec(), {100}, x), dx(exec(), {100});
    activation_forward(exec(), kind, in, y);
    const Tensor saved = backward_reads_input(kind) ? in : y;
    activation_backward(exec(), kind, saved, dy, dx);
    activation_backward(exec(), kind, saved, dy, dy);
    EXPECT_EQ(dy.values(), dx.values());
    if (backward_reads_input(kind)) continue;
    activation_forward(exec(), kind, in, in);
    EXPECT_EQ(in.values(), y.values());
  }
}

TEST_P(ActivationTest, WorksAtAddressesThatNoVectorLoadReads) {
  constexpr int64_t kCount = 2001;
  const auto x = random_values(kCount + 1, 5, -3, 3);
  const Guarded<float> in(exec(), {kCount + 1}, x), y(exec(), {kCount + 1}), shifted(exec(), {kCount + 1});
  const auto but_the_first = [](const Guarded<float>& whole) {
    return Tensor(whole.tensor().data<float>() + 1, DType::f32, {kCount});
  };
  activation_forward(exec(), Activation::tanh, in, y);
  activation_forward(exec(), Activation::tanh, but_the_first(in), but_the_first(shifted));
  const std::vector<float> expected = y.values(), actual = shifted.values();
  EXPECT_TRUE(std::equal(expected.begin() + 1, expected.end(), actual.begin() + 1));
}

TEST_P(ActivationTest, AcceptsNothing) {
  const Guarded<float> empty(exec(), {0, 5});
  for (const Activation kind : kActivations) {
    activation_forward(exec(), kind, empty, empty);
    activation_backward(exec(), kind, empty, empty, empty);
  }
  empty.values();
}

class AddTest : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(AddTest);

TEST_P(AddTest, AddsAndMayAliasEither) {
  for (const int64_t count : {0, 1, 31, 1027}) {
    const auto a = random_values(count, 1), b = random_values(count, 2);
    Doubles expected;
    for (size_t i = 0; i < a.size(); ++i) expected.push_back(double{a[i]} + b[i]);
    const Guarded<float> in_a(exec(), {count}, a), in_b(exec(), {count}, b), y(exec(), {count});
    add(exec(), in_a, in_b, y);
    expect_close(y.values(), expected, kRounding, "a + b");
    const Guarded<float> left(exec(), {count}, a), right(exec(), {count}, b);
    add(exec(), left, in_b, left);
    add(exec(), in_a, right, right);
    EXPECT_EQ(left.values(), y.values());
    EXPECT_EQ(right.values(), y.values());
  }
}

TEST_P(AddTest, InfinityAndNaNPass) {
  const Guarded<float> a(exec(), {2}, {kInfinity, kInfinity}), b(exec(), {2}, {1, -kInfinity}),
      y(exec(), {2});
  add(exec(), a, b, y);
  expect_close(y.values(), {kInfinity, kNaN}, kExact, "y");
}

class BiasTest : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(BiasTest);

TEST_P(BiasTest, ForwardAndGradientMatchTheOracle) {
  for (const Shape& shape :
       {Shape{1, 1}, Shape{3, 5}, Shape{2, 3, 4, 70}, Shape{67, 130}, Shape{0, 4}, Shape{500, 10}}) {
    SCOPED_TRACE(to_string(shape));
    const int64_t channels = shape[-1];
    const auto x = random_values(shape.elements(), 1), b = random_values(channels, 2);
    Doubles sum, columns(b.size());
    for (size_t i = 0; i < x.size(); ++i) {
      sum.push_back(double{x[i]} + b[i % b.size()]);
      columns[i % b.size()] += x[i];
    }
    const Guarded<float> in(exec(), shape, x), bias(exec(), {channels}, b), y(exec(), shape),
        db(exec(), {channels});
    bias_forward(exec(), in, bias, y);
    expect_close(y.values(), sum, kRounding, "y");
    bias_backward(exec(), in, db);
    expect_close(db.values(), columns, kSum, "db");
    bias_forward(exec(), in, bias, in);
    EXPECT_EQ(in.values(), y.values());
  }
}

}  // namespace
}  // namespace lockstep::test

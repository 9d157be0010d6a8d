#include "src/ops/pool/pool.h"

#include <gmock/gmock.h>

#include <cmath>
#include <string>
#include <vector>

#include "src/core/error.h"
#include "tests/support/backend.h"
#include "tests/support/harness/op_case.h"
#include "tests/support/oracles.h"

namespace lockstep::test {
namespace {

/// Short for windows that slide along an axis, with the same padding on both sides.
PoolAxis along(int64_t inputs, int64_t window, int64_t stride, int64_t padding = 0, bool ceil = false) {
  return PoolAxis::sliding(inputs, window, stride, padding, padding, ceil);
}
PoolSpec image(int64_t n, int64_t c, const PoolAxis& height, const PoolAxis& width) {
  return {.n = n, .c = c, .axes = {PoolAxis{}, height, width}};
}
PoolSpec volume(int64_t n, int64_t c, const PoolAxis& depth, const PoolAxis& height, const PoolAxis& width) {
  return {.n = n, .c = c, .axes = {depth, height, width}};
}

struct PoolCase {
  const char* name;
  PoolSpec spec;
};

std::vector<PoolCase> cases() {
  return {
      {"2 x 2", image(2, 3, along(4, 2, 2), along(6, 2, 2))},
      {"2 x 2 that leaves a row and a column over", image(2, 4, along(5, 2, 2), along(7, 2, 2))},
      {"2 x 2 that leaves a column over", image(2, 33, along(4, 2, 2), along(3, 2, 2))},
      {"2 x 2, channels that are read together", image(2, 16, along(4, 2, 2), along(5, 2, 2))},
      {"overlap of channels that are read together", image(2, 8, along(6, 3, 2, 1), along(5, 3, 1))},
      {"2 x 2, many channels", image(1, 70, along(2, 2, 2), along(4, 2, 2))},
      {"2 x 2, rounded up", image(2, 3, along(5, 2, 2, 0, true), along(4, 2, 2, 0, true))},
      {"1 x 2 x 2 in a volume", volume(2, 3, along(3, 1, 1), along(4, 2, 2), along(5, 2, 2))},
      {"one element", image(1, 1, along(1, 1, 1), along(1, 1, 1))},
      {"overlap", image(2, 2, along(5, 3, 2), along(6, 3, 1))},
      {"overlap and padding", image(2, 3, along(6, 3, 2, 1), along(5, 3, 2, 1))},
      {"gaps", image(1, 2, along(7, 2, 3), along(8, 1, 2))},
      {"the whole input", image(2, 5, along(3, 3, 2), along(4, 4, 2))},
      {"uneven padding", image(1, 65, along(3, 2, 1), along(4, 3, 3, 2))},
      {"padding on one side",
       image(2, 3, PoolAxis::sliding(6, 3, 2, 0, 1), PoolAxis::sliding(5, 3, 1, 2, 0))},
      {"more elements than a kernel does in one round", image(1, 2, along(20, 1, 1), along(20, 1, 1))},
      {"256 positions", image(1, 2, along(17, 16, 1), along(16, 16, 1))},
      {"one axis", volume(3, 5, {}, {}, along(9, 3, 2, 1))},
      {"one axis, rounded up", volume(2, 3, {}, {}, along(8, 3, 2, 0, true))},
      {"a last window that begins in the padding is left out", volume(2, 3, {}, {}, along(5, 2, 2, 1, true))},
      {"a window larger than its axis, rounded up", image(2, 2, along(2, 3, 2, 0, true), along(5, 3, 2))},
      {"three axes", volume(2, 3, along(4, 2, 2), along(5, 3, 2), along(3, 2, 1))},
      {"three axes, overlap, padding, rounded up",
       volume(1, 4, along(6, 3, 2, 1, true), along(5, 3, 2, 0, true), along(4, 2, 3, 1, true))},
      {"evenly, one axis", volume(2, 3, {}, {}, PoolAxis::evenly(7, 5))},
      {"evenly", image(2, 3, PoolAxis::evenly(5, 3), PoolAxis::evenly(4, 2))},
      {"evenly, more windows than elements", image(1, 4, PoolAxis::evenly(2, 5), PoolAxis::evenly(3, 4))},
      {"evenly, three axes",
       volume(2, 2, PoolAxis::evenly(3, 2), PoolAxis::evenly(5, 4), PoolAxis::evenly(7, 3))},
  };
}

OpCase max_pool_case(const PoolSpec& spec, const Fill& x = {}) {
  const Shape out = spec.output_shape();
  OpCase op;
  op.input("x", spec.input_shape(), x).output("y", out, kExact).output("argmax", out, kExact, DType::u8);
  op.runs([=](const OpCall& c) { max_pool_forward(c.exec, spec, c["x"], c["y"], c["argmax"]); },
          [=](const OpCall& c) { max_pool_backward(c.exec, spec, c["argmax"], c["dy"], c["dx"]); });
  op.oracle = [=](const Values& values) {
    oracle::MaxPool result = oracle::max_pool(spec, values["x"]);
    for (size_t i = 0; spec.relu && i < result.y.size(); ++i) {
      if (result.y[i] > 0) continue;
      result.argmax[i] = kCutOff;
      if (result.y[i] < 0) result.y[i] = 0;  // not NaN
    }
    return Values{{"y", result.y}, {"argmax", {result.argmax.begin(), result.argmax.end()}}};
  };
  op.kinks = 0.01;
  op.activations = {"x", "y"};
  return op;
}

OpCase with_gradient(OpCase op, int64_t samples, const Tolerance& tolerance = kGradient) {
  op.output_gradient("y").gradient("x", tolerance, {.first = samples, .last = op.operand("x").shape[-1]});
  return op;
}

/// Values of a few kinds: whole numbers, so that several are the largest; or NaN, infinities and numbers.
Fill tied() {
  return {.low = 0, .high = 3, .map = [](double value) { return std::floor(value); }};
}
Fill extreme() {
  return {.low = 0, .high = 4, .map = [](double value) {
            return value < 1 ? kNaN : value < 2 ? -kInfinity : value < 3 ? kInfinity : value;
          }};
}

const RegisterOp kMaxPool("max_pool", [](Op& op) {
  for (const auto& [name, test] : cases()) {
    const auto add = [&, name = name, test = test](const std::string& suffix, auto make) {
      op.add(name + suffix, test.n, [spec = test, make](int64_t n) mutable {
        spec.n = n;
        return make(spec);
      });
    };
    add("", [](const PoolSpec& spec) { return with_gradient(max_pool_case(spec), spec.n); });
    add(", ties", [](const PoolSpec& spec) { return max_pool_case(spec, tied()); });
    add(", NaN and infinity", [](const PoolSpec& spec) { return max_pool_case(spec, extreme()); });
    if (test.window_size() == kMaxPoolWindow) continue;
    add(", a ReLU", [](PoolSpec spec) {
      spec.relu = true;
      return with_gradient(max_pool_case(spec), spec.n);
    });
    add(", a ReLU, NaN and infinity", [](PoolSpec spec) {
      spec.relu = true;
      return max_pool_case(spec, extreme());
    });
  }
  const auto time = [&](const char* name, const PoolSpec& sample, int64_t samples) {
    op.time(name, samples, [=](int64_t n) {
      PoolSpec spec = sample;
      spec.n = n;
      return with_gradient(max_pool_case(spec), n);
    });
  };
  time("first", image(1, 32, along(26, 2, 2), along(26, 2, 2)), 64);
  time("second", image(1, 64, along(11, 2, 2), along(11, 2, 2)), 64);
  time("overlap", image(1, 64, along(28, 3, 2, 1), along(28, 3, 2, 1)), 8);
  time("volume", volume(1, 16, along(16, 2, 2), along(16, 2, 2), along(16, 2, 2)), 8);
});

OpCase average_pool_case(const PoolSpec& spec, const Tolerance& tolerance) {
  OpCase op;
  op.input("x", spec.input_shape()).output("y", spec.output_shape(), tolerance);
  op.runs([=](const OpCall& c) { average_pool_forward(c.exec, spec, c["x"], c["y"]); },
          [=](const OpCall& c) { average_pool_backward(c.exec, spec, c["dy"], c["dx"]); });
  op.oracle = [=](const Values& in) { return Values{{"y", oracle::average_pool(spec, in["x"])}}; };
  op.activations = {"x", "y"};
  return with_gradient(op, spec.n);
}

const RegisterOp kAveragePool("average_pool", [](Op& op) {
  const auto add = [&](const std::string& name, const PoolSpec& sample, const Tolerance& tolerance) {
    op.add(name, sample.n, [=](int64_t n) {
      PoolSpec spec = sample;
      spec.n = n;
      return average_pool_case(spec, tolerance);
    });
  };
  for (const auto& [name, test] : cases()) {
    add(name, test, kSum);
    PoolSpec counting = test;
    counting.count_padding = true;
    add(std::string(name) + ", counting the padding", counting, kSum);
  }
  // No position is kept for a mean, so a window may hold any number of elements.
  add("large overlapping windows", image(1, 2, along(19, 17, 2), along(18, 16, 1)), kRounding);
  add("a large window, the whole input", image(1, 3, along(8, 8, 8), along(35, 35, 35)), kRounding);
  PoolSpec padded = image(1, 2, along(30, 40, 3, 12), along(2, 10, 2, 5));
  add("large windows with padding", padded, kRounding);
  padded.count_padding = true;
  add("large windows, counting the padding", padded, kRounding);
  add("large windows in a volume", volume(1, 2, along(6, 5, 1), along(5, 5, 5), along(8, 6, 2)), kRounding);
});

OpCase global_average_pool_case(const Shape& shape) {
  const int64_t n = shape[0], c = shape[-1], positions = shape.sample().elements() / c;
  OpCase op;
  op.input("x", shape).output("y", {n, c}, kSum);
  op.runs([](const OpCall& call) { global_average_pool_forward(call.exec, call["x"], call["y"]); },
          [](const OpCall& call) { global_average_pool_backward(call.exec, call["dy"], call["dx"]); });
  const PoolSpec whole = volume(n, c, {}, {}, along(positions, positions, 1));
  op.oracle = [=](const Values& in) { return Values{{"y", oracle::average_pool(whole, in["x"])}}; };
  op.activations = {"x", "y"};
  return with_gradient(op, n);
}

const RegisterOp kGlobalAveragePool("global_average_pool", [](Op& op) {
  for (const Shape& sample : {Shape{3, 5, 7}, Shape{1, 1, 1}, Shape{9, 2}, Shape{4}, Shape{10, 10, 4}})
    op.add("samples of " + to_string(sample), 2,
           [=](int64_t n) { return global_average_pool_case(sample.batched(n)); });
});

TEST(PoolAxis, HasPyTorchsNumberOfWindows) {
  const auto outputs = [](int64_t inputs, int64_t window, int64_t stride, int64_t padding, bool ceil) {
    return along(inputs, window, stride, padding, ceil).outputs;
  };
  EXPECT_EQ(outputs(112, 3, 2, 0, false), 55);
  EXPECT_EQ(outputs(112, 3, 2, 0, true), 56);  // GoogLeNet
  EXPECT_EQ(outputs(112, 3, 2, 1, false), 56);
  EXPECT_EQ(outputs(5, 2, 2, 1, false), 3);
  EXPECT_EQ(outputs(5, 2, 2, 1, true), 3);  // a fourth would begin in the padding after the input
  EXPECT_EQ(outputs(2, 3, 2, 0, false), 0);
  EXPECT_EQ(outputs(2, 3, 2, 0, true), 1);
  EXPECT_EQ(outputs(1, 3, 2, 0, true), 0);
}

TEST(PoolAxis, KnowsItsLargestEvenWindow) {
  EXPECT_EQ(PoolAxis::evenly(5, 3).window, 3);  // [0, 2), [1, 4), [3, 5)
  EXPECT_EQ(PoolAxis::evenly(2, 5).window, 2);  // [0, 1), [0, 1), [0, 2), [1, 2), [1, 2)
  EXPECT_EQ(PoolAxis::evenly(12, 4).window, 3);
}

class PoolTest : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(PoolTest);

TEST_P(PoolTest, PaddingIsNeverAMaximum) {
  const PoolSpec spec = image(1, 1, along(1, 3, 2, 1), along(1, 3, 2, 1));
  const Shape one{1, 1, 1, 1, 1};
  const Guarded<float> x(exec(), one, {-kInfinity}), dy(exec(), one, {1}), y(exec(), one), dx(exec(), one);
  const Guarded<uint8_t> argmax(exec(), one);
  max_pool_forward(exec(), spec, x, y, argmax);
  max_pool_backward(exec(), spec, argmax, dy, dx);
  EXPECT_THAT(y.values(), testing::ElementsAre(-kInfinity));
  EXPECT_THAT(argmax.values(), testing::ElementsAre(4));
  EXPECT_THAT(dx.values(), testing::ElementsAre(1));
}

TEST_P(PoolTest, MeansOfManyNumbersKeepTheirDigits) {
  constexpr int64_t side = 256;
  const auto values = random_values(side * side, 1, 0, 1);
  double expected = 0;
  for (const float value : values) expected += value / static_cast<double>(side * side);
  const Guarded<float> x(exec(), {1, 1, side, side, 1}, values), y(exec(), {1, 1}),
      z(exec(), {1, 1, 1, 1, 1});
  global_average_pool_forward(exec(), x, y);
  expect_close(y.values(), {expected}, {0, 1e-7, "rounded to float, from blocks that err both ways"}, "y");
  average_pool_forward(exec(), image(1, 1, along(side, side, 2), along(side, side, 2)), x, z);
  expect_close(z.values(), {expected}, {0, 1.5e-7, "rounded twice"}, "z");
}

TEST_P(PoolTest, AnImpossibleSpecIsABug) {
  const Guarded<float> x(exec(), {1, 1, 4, 4, 1}), y(exec(), {1, 1, 2, 2, 1});
  const Guarded<uint8_t> argmax(exec(), {1, 1, 2, 2, 1});
  const auto refused = [&](const PoolSpec& spec) {
    EXPECT_THROW(max_pool_forward(exec(), spec, x, y, argmax), Error);
  };
  PoolSpec spec = image(1, 1, along(4, 2, 2), along(4, 2, 2));
  max_pool_forward(exec(), spec, x, y, argmax);
  spec.axes[1].before = 2;
  refused(spec);
  spec.axes[1] = along(4, 17, 2, 16);
  spec.axes[2] = along(4, 16, 2, 15);
  refused(spec);
  refused(image(1, 2, along(4, 2, 2), along(4, 2, 2)));
  spec = image(1, 1, along(4, 2, 2), along(4, 2, 2));
  spec.axes[2].stride = 4;  // the second window would begin behind the input
  refused(spec);
}

}  // namespace
}  // namespace lockstep::test

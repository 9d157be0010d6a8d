#include "src/ops/pool/pool2d.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/support/backend.h"
#include "tests/support/harness/op_case.h"
#include "tests/support/oracles.h"

namespace lockstep::test {
namespace {

struct Pool2dCase {
  const char* name;
  Pool2dSpec spec;
};

const Pool2dCase kPool2dCases[] = {
    {"2 x 2", {.n = 2, .h = 4, .w = 6, .c = 3}},
    {"2 x 2 that leaves a row and a column over", {.n = 2, .h = 5, .w = 7, .c = 4}},
    {"2 x 2 that leaves a column over", {.n = 2, .h = 4, .w = 3, .c = 33}},
    {"2 x 2, many channels", {.n = 1, .h = 2, .w = 4, .c = 70}},
    {"one element",
     {.n = 1, .h = 1, .w = 1, .c = 1, .window_h = 1, .window_w = 1, .stride_h = 1, .stride_w = 1}},
    {"overlap", {.n = 2, .h = 5, .w = 6, .c = 2, .window_h = 3, .window_w = 3, .stride_h = 2, .stride_w = 1}},
    {"overlap and padding",
     {.n = 2,
      .h = 6,
      .w = 5,
      .c = 3,
      .window_h = 3,
      .window_w = 3,
      .stride_h = 2,
      .stride_w = 2,
      .pad_h = 1,
      .pad_w = 1}},
    {"gaps", {.n = 1, .h = 7, .w = 8, .c = 2, .window_h = 2, .window_w = 1, .stride_h = 3, .stride_w = 2}},
    {"the whole input", {.n = 2, .h = 3, .w = 4, .c = 5, .window_h = 3, .window_w = 4}},
    {"uneven padding",
     {.n = 1,
      .h = 3,
      .w = 4,
      .c = 65,
      .window_h = 2,
      .window_w = 3,
      .stride_h = 1,
      .stride_w = 3,
      .pad_h = 0,
      .pad_w = 2}},
    {"more elements than a kernel does in one round",
     {.n = 1, .h = 20, .w = 20, .c = 2, .window_h = 1, .window_w = 1, .stride_h = 1, .stride_w = 1}},
    {"256 positions",
     {.n = 1, .h = 17, .w = 16, .c = 2, .window_h = 16, .window_w = 16, .stride_h = 1, .stride_w = 1}},
};

OpCase max_pool2d_case(const Pool2dSpec& spec, const Fill& x = {}) {
  const Shape in{spec.n, spec.h, spec.w, spec.c}, out{spec.n, spec.out_h(), spec.out_w(), spec.c};
  OpCase op;
  op.input("x", in, x).output("y", out, kExact).output("argmax", out, kExact, DType::u8);
  op.runs([=](const OpCall& c) { max_pool2d_forward(c.exec, spec, c["x"], c["y"], c["argmax"]); },
          [=](const OpCall& c) { max_pool2d_backward(c.exec, spec, c["argmax"], c["dy"], c["dx"]); });
  op.oracle = [=](const Values& values) {
    const oracle::MaxPool result = oracle::max_pool2d(spec, values["x"]);
    return Values{{"y", result.y}, {"argmax", {result.argmax.begin(), result.argmax.end()}}};
  };
  op.kinks = 0.01;
  return op;
}

OpCase with_gradient(OpCase op, const Pool2dSpec& spec, const Tolerance& tolerance = kGradient) {
  op.output_gradient("y").gradient("x", tolerance, spec.n);
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

const RegisterOp kMaxPool2d("max_pool2d", [](Op& op) {
  for (const auto& [name, test] : kPool2dCases) {
    const auto add = [&](const std::string& suffix, auto make) {
      op.add(name + suffix, test.n, [spec = test, make](int64_t n) mutable {
        spec.n = n;
        return make(spec);
      });
    };
    add("", [](const Pool2dSpec& spec) { return with_gradient(max_pool2d_case(spec), spec); });
    add(", ties", [](const Pool2dSpec& spec) { return max_pool2d_case(spec, tied()); });
    add(", NaN and infinity", [](const Pool2dSpec& spec) { return max_pool2d_case(spec, extreme()); });
  }
  op.time("first", 64, [](int64_t n) {
    const Pool2dSpec spec{.n = n, .h = 26, .w = 26, .c = 32};
    return with_gradient(max_pool2d_case(spec), spec);
  });
  op.time("second", 64, [](int64_t n) {
    const Pool2dSpec spec{.n = n, .h = 11, .w = 11, .c = 64};
    return with_gradient(max_pool2d_case(spec), spec);
  });
});

OpCase average_pool2d_case(const Pool2dSpec& spec, const Tolerance& tolerance) {
  OpCase op;
  op.input("x", {spec.n, spec.h, spec.w, spec.c});
  op.output("y", {spec.n, spec.out_h(), spec.out_w(), spec.c}, tolerance);
  op.runs([=](const OpCall& c) { average_pool2d_forward(c.exec, spec, c["x"], c["y"]); },
          [=](const OpCall& c) { average_pool2d_backward(c.exec, spec, c["dy"], c["dx"]); });
  op.oracle = [=](const Values& in) { return Values{{"y", oracle::average_pool2d(spec, in["x"])}}; };
  return with_gradient(op, spec);
}

const RegisterOp kAveragePool2d("average_pool2d", [](Op& op) {
  const auto add = [&](const char* name, Pool2dSpec spec, const Tolerance& tolerance) {
    op.add(name, spec.n, [=](int64_t n) mutable {
      spec.n = n;
      return average_pool2d_case(spec, tolerance);
    });
  };
  for (const auto& [name, spec] : kPool2dCases) add(name, spec, kSum);
  // No position is kept for a mean, so a window may hold any number of elements.
  add("large overlapping windows",
      {.n = 1, .h = 19, .w = 18, .c = 2, .window_h = 17, .window_w = 16, .stride_h = 2, .stride_w = 1},
      kRounding);
  add("a large window, the whole input",
      {.n = 1, .h = 8, .w = 35, .c = 3, .window_h = 8, .window_w = 35, .stride_h = 8, .stride_w = 35},
      kRounding);
  add("large windows with padding",
      {.n = 1,
       .h = 30,
       .w = 2,
       .c = 2,
       .window_h = 40,
       .window_w = 10,
       .stride_h = 3,
       .pad_h = 12,
       .pad_w = 5},
      kRounding);
});

OpCase global_average_pool_case(const Shape& shape) {
  const int64_t n = shape[0], c = shape[-1], positions = shape.sample().elements() / c;
  OpCase op;
  op.input("x", shape).output("y", {n, c}, kSum);
  op.runs([](const OpCall& call) { global_average_pool_forward(call.exec, call["x"], call["y"]); },
          [](const OpCall& call) { global_average_pool_backward(call.exec, call["dy"], call["dx"]); });
  const Pool2dSpec whole{.n = n, .h = positions, .w = 1, .c = c, .window_h = positions, .window_w = 1};
  op.oracle = [=](const Values& in) { return Values{{"y", oracle::average_pool2d(whole, in["x"])}}; };
  return with_gradient(op, whole);
}

const RegisterOp kGlobalAveragePool("global_average_pool", [](Op& op) {
  for (const Shape& sample : {Shape{3, 5, 7}, Shape{1, 1, 1}, Shape{9, 2}, Shape{4}, Shape{10, 10, 4}})
    op.add("samples of " + to_string(sample), 2,
           [=](int64_t n) { return global_average_pool_case(sample.batched(n)); });
});

class Pool2dTest : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(Pool2dTest);

TEST_P(Pool2dTest, PaddingIsNeverAMaximum) {
  const Pool2dSpec spec{.n = 1, .h = 1, .w = 1, .c = 1, .window_h = 3, .window_w = 3, .pad_h = 1, .pad_w = 1};
  const Guarded<float> x(exec(), {1, 1, 1, 1}, {-kInfinity}), dy(exec(), {1, 1, 1, 1}, {1}),
      y(exec(), {1, 1, 1, 1}), dx(exec(), {1, 1, 1, 1});
  const Guarded<uint8_t> argmax(exec(), {1, 1, 1, 1});
  max_pool2d_forward(exec(), spec, x, y, argmax);
  max_pool2d_backward(exec(), spec, argmax, dy, dx);
  EXPECT_THAT(y.values(), testing::ElementsAre(-kInfinity));
  EXPECT_THAT(argmax.values(), testing::ElementsAre(4));
  EXPECT_THAT(dx.values(), testing::ElementsAre(1));
}

TEST_P(Pool2dTest, MeansOfManyNumbersKeepTheirDigits) {
  constexpr int64_t side = 256;
  const auto values = random_values(side * side, 1, 0, 1);
  double expected = 0;
  for (const float value : values) expected += value / static_cast<double>(side * side);
  const Guarded<float> x(exec(), {1, side, side, 1}, values), y(exec(), {1, 1}), z(exec(), {1, 1, 1, 1});
  global_average_pool_forward(exec(), x, y);
  expect_close(y.values(), {expected}, {0, 1e-7, "rounded to float, from blocks that err both ways"}, "y");
  average_pool2d_forward(exec(), {.n = 1, .h = side, .w = side, .c = 1, .window_h = side, .window_w = side},
                         x, z);
  expect_close(z.values(), {expected}, {0, 1.5e-7, "rounded twice"}, "z");
}

TEST_P(Pool2dTest, AnImpossibleSpecIsABug) {
  const Guarded<float> x(exec(), {1, 4, 4, 1}), y(exec(), {1, 2, 2, 1});
  const Guarded<uint8_t> argmax(exec(), {1, 2, 2, 1});
  Pool2dSpec spec{.n = 1, .h = 4, .w = 4, .c = 1};
  spec.pad_h = 2;
  EXPECT_THROW(max_pool2d_forward(exec(), spec, x, y, argmax), Error);
  spec = {.n = 1, .h = 4, .w = 4, .c = 1, .window_h = 17, .window_w = 16};
  EXPECT_THROW(max_pool2d_forward(exec(), spec, x, y, argmax), Error);
  spec = {.n = 1, .h = 4, .w = 4, .c = 2};
  EXPECT_THROW(max_pool2d_forward(exec(), spec, x, y, argmax), Error);
}

}  // namespace
}  // namespace lockstep::test

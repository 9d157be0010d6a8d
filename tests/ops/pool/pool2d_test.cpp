#include "src/ops/pool/pool2d.h"

#include <gmock/gmock.h>

#include "tests/support/backend.h"
#include "tests/support/oracles.h"

namespace lockstep::test {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

class Pool2dTest : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(Pool2dTest);

struct Case {
  const char* name;
  Pool2dSpec spec;
};

const Case kCases[] = {
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

struct MaxPoolRun {
  std::vector<float> y;
  std::vector<uint8_t> argmax;
  std::vector<float> dx;
};

MaxPoolRun run_max_pool(Exec exec, const Pool2dSpec& spec, const std::vector<float>& x,
                        const std::vector<float>& dy) {
  const Shape in{spec.n, spec.h, spec.w, spec.c}, out{spec.n, spec.out_h(), spec.out_w(), spec.c};
  const Guarded<float> in_x(exec, in, x), in_dy(exec, out, dy), y(exec, out), dx(exec, in);
  const Guarded<uint8_t> argmax(exec, out);
  max_pool2d_forward(exec, spec, in_x, y, argmax);
  max_pool2d_backward(exec, spec, argmax, in_dy, dx);
  return {y.values(), argmax.values(), dx.values()};
}

TEST_P(Pool2dTest, MaximaPositionsAndGradientsMatchTheOracle) {
  for (const Case& test : kCases) {
    SCOPED_TRACE(test.name);
    const Pool2dSpec& spec = test.spec;
    const auto x = random_values(spec.n * spec.h * spec.w * spec.c, 1);
    const auto dy = random_values(spec.n * spec.out_h() * spec.out_w() * spec.c, 2);
    const MaxPoolRun run = run_max_pool(exec(), spec, x, dy);
    const oracle::MaxPool expected = oracle::max_pool2d(spec, to_double(x));
    expect_close(run.y, expected.y, kExact, "y");
    EXPECT_EQ(run.argmax, expected.argmax);
    expect_gradient(
        run.dx, [&](const Doubles& at) { return oracle::max_pool2d(spec, at).y; }, x, dy, "dx");
  }
}

TEST_P(Pool2dTest, TheFirstOfEqualMaximaWins) {
  for (const Case& test : kCases) {
    SCOPED_TRACE(test.name);
    const Pool2dSpec& spec = test.spec;
    std::vector<float> x = random_values(spec.n * spec.h * spec.w * spec.c, 3, 0, 3);
    for (float& value : x) value = std::floor(value);
    const auto dy = random_values(spec.n * spec.out_h() * spec.out_w() * spec.c, 2);
    EXPECT_EQ(run_max_pool(exec(), spec, x, dy).argmax, oracle::max_pool2d(spec, to_double(x)).argmax);
  }
}

TEST_P(Pool2dTest, TheFirstNaNIsTheMaximumAndMinusInfinityIsANumber) {
  for (const Case& test : kCases) {
    SCOPED_TRACE(test.name);
    const Pool2dSpec& spec = test.spec;
    std::vector<float> x = random_values(spec.n * spec.h * spec.w * spec.c, 4, 0, 4);
    for (float& value : x) value = value < 1 ? kNaN : value < 2 ? -kInfinity : value < 3 ? kInfinity : value;
    const auto dy = random_values(spec.n * spec.out_h() * spec.out_w() * spec.c, 2);
    const MaxPoolRun run = run_max_pool(exec(), spec, x, dy);
    const oracle::MaxPool expected = oracle::max_pool2d(spec, to_double(x));
    expect_close(run.y, expected.y, kExact, "y");
    EXPECT_EQ(run.argmax, expected.argmax);
  }
  const Pool2dSpec padded{
      .n = 1, .h = 1, .w = 1, .c = 1, .window_h = 3, .window_w = 3, .pad_h = 1, .pad_w = 1};
  const MaxPoolRun run = run_max_pool(exec(), padded, {-kInfinity}, {1});
  EXPECT_THAT(run.y, testing::ElementsAre(-kInfinity));
  EXPECT_THAT(run.argmax, testing::ElementsAre(4)) << "padding is never a maximum";
  EXPECT_THAT(run.dx, testing::ElementsAre(1));
}

TEST_P(Pool2dTest, MeansAndGradientsMatchTheOracle) {
  for (const Case& test : kCases) {
    SCOPED_TRACE(test.name);
    const Pool2dSpec& spec = test.spec;
    const Shape in{spec.n, spec.h, spec.w, spec.c}, out{spec.n, spec.out_h(), spec.out_w(), spec.c};
    const auto values = random_values(in.elements(), 1), gradient = random_values(out.elements(), 2);
    const Guarded<float> x(exec(), in, values), dy(exec(), out, gradient), y(exec(), out), dx(exec(), in);
    average_pool2d_forward(exec(), spec, x, y);
    average_pool2d_backward(exec(), spec, dy, dx);
    const auto mean = [&](const Doubles& at) { return oracle::average_pool2d(spec, at); };
    expect_close(y.values(), mean(to_double(values)), kSum, "y");
    expect_gradient(dx.values(), mean, values, gradient, "dx");
  }
}

// No position is kept for a mean, so a window may hold any number of elements.
TEST_P(Pool2dTest, MeansOverLargeWindowsMatchTheOracle) {
  const Pool2dSpec overlapping{
      .n = 1, .h = 19, .w = 18, .c = 2, .window_h = 17, .window_w = 16, .stride_h = 2, .stride_w = 1};
  const Pool2dSpec whole{
      .n = 1, .h = 8, .w = 35, .c = 3, .window_h = 8, .window_w = 35, .stride_h = 8, .stride_w = 35};
  Pool2dSpec padded{.n = 1, .h = 30, .w = 2, .c = 2, .window_h = 40, .window_w = 10, .stride_h = 3};
  padded.pad_h = 12;
  padded.pad_w = 5;
  for (const Pool2dSpec& spec : {overlapping, whole, padded}) {
    SCOPED_TRACE(fmt::format("{} x {}", spec.window_h, spec.window_w));
    const Shape in{spec.n, spec.h, spec.w, spec.c}, out{spec.n, spec.out_h(), spec.out_w(), spec.c};
    const auto values = random_values(in.elements(), 1), gradient = random_values(out.elements(), 2);
    const Guarded<float> x(exec(), in, values), dy(exec(), out, gradient), y(exec(), out), dx(exec(), in);
    average_pool2d_forward(exec(), spec, x, y);
    average_pool2d_backward(exec(), spec, dy, dx);
    const auto mean = [&](const Doubles& at) { return oracle::average_pool2d(spec, at); };
    expect_close(y.values(), mean(to_double(values)), kRounding, "y");
    expect_gradient(dx.values(), mean, values, gradient, "dx");
  }
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

TEST_P(Pool2dTest, GlobalMeansAreMeansOverTheWholeInput) {
  for (const Shape& shape :
       {Shape{2, 3, 5, 7}, Shape{1, 1, 1, 1}, Shape{3, 9, 2}, Shape{2, 4}, Shape{2, 10, 10, 4}}) {
    SCOPED_TRACE(to_string(shape));
    const int64_t n = shape[0], c = shape[-1], positions = shape.elements() / (n * c);
    const Pool2dSpec whole{.n = n, .h = positions, .w = 1, .c = c, .window_h = positions, .window_w = 1};
    const auto values = random_values(shape.elements(), 1), gradient = random_values(n * c, 2);
    const Guarded<float> x(exec(), shape, values), dy(exec(), {n, c}, gradient), y(exec(), {n, c}),
        dx(exec(), shape);
    global_average_pool_forward(exec(), x, y);
    global_average_pool_backward(exec(), dy, dx);
    const auto mean = [&](const Doubles& at) { return oracle::average_pool2d(whole, at); };
    expect_close(y.values(), mean(to_double(values)), kSum, "y");
    expect_gradient(dx.values(), mean, values, gradient, "dx");
  }
}

TEST_P(Pool2dTest, AcceptsAnEmptyBatch) {
  const Pool2dSpec spec{.n = 0, .h = 4, .w = 4, .c = 2};
  const MaxPoolRun run = run_max_pool(exec(), spec, {}, {});
  EXPECT_TRUE(run.y.empty());
  const Guarded<float> x(exec(), {0, 4, 4, 2}), y(exec(), {0, 2, 2, 2}), mean(exec(), {0, 2});
  average_pool2d_forward(exec(), spec, x, y);
  average_pool2d_backward(exec(), spec, y, x);
  global_average_pool_forward(exec(), x, mean);
  global_average_pool_backward(exec(), mean, x);
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

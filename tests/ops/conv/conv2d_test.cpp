#include "src/ops/conv/conv2d.h"

#include <gmock/gmock.h>
#include <omp.h>

#include "tests/support/backend.h"
#include "tests/support/oracles.h"

namespace lockstep::test {
namespace {

class Conv2dTest : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(Conv2dTest);

struct Inputs {
  explicit Inputs(const Conv2dSpec& spec)
      : x(random_values(spec.n * spec.h * spec.w * spec.c, 1)),
        w(random_values(spec.k * spec.r * spec.s * spec.c / spec.groups, 2)),
        b(random_values(spec.k, 3)),
        dy(random_values(spec.n * spec.out_h() * spec.out_w() * spec.k, 4)) {}
  std::vector<float> x, w, b, dy;
};

struct Outputs {
  std::vector<float> y, dx, dw, db;
};

Outputs run_conv2d(Exec exec, const Conv2dSpec& spec, const Inputs& inputs) {
  const Shape x_shape{spec.n, spec.h, spec.w, spec.c}, w_shape{spec.k, spec.r, spec.s, spec.c / spec.groups};
  const Shape y_shape{spec.n, spec.out_h(), spec.out_w(), spec.k};
  Conv2d op(exec, spec);
  const Guarded<float> x(exec, x_shape, inputs.x), w(exec, w_shape, inputs.w), b(exec, {spec.k}, inputs.b);
  const Guarded<float> dy(exec, y_shape, inputs.dy), y(exec, y_shape), dx(exec, x_shape), dw(exec, w_shape);
  const Guarded<float> db(exec, {spec.k});
  const Guarded<uint8_t> scratch = workspace(exec, op.workspace_bytes());
  op.forward(x, w, spec.bias ? ConstTensor(b) : ConstTensor{}, y, scratch);
  op.backward(x, w, dy, spec.needs_dx ? dx.tensor() : Tensor{}, dw, spec.bias ? db.tensor() : Tensor{},
              scratch);
  scratch.values();  // its guards
  return {y.values(), dx.values(), dw.values(), db.values()};
}

void check_against_oracle(Exec exec, const Conv2dSpec& spec) {
  const Inputs in(spec);
  const Outputs out = run_conv2d(exec, spec, in);
  Conv2dSpec smooth =
      spec;  // backward expects a gradient that ReLU has masked already, so it is the one without ReLU
  smooth.relu = false;
  const Doubles x = to_double(in.x), w = to_double(in.w), b = to_double(in.b);
  expect_close(out.y, oracle::conv2d(spec, x, w, b), kSum, "y");
  if (spec.needs_dx)
    expect_gradient(
        out.dx, [&](const Doubles& at) { return oracle::conv2d(smooth, at, w, b); }, in.x, in.dy, "dx");
  expect_gradient(
      out.dw, [&](const Doubles& at) { return oracle::conv2d(smooth, x, at, b); }, in.w, in.dy, "dw");
  if (spec.bias)
    expect_gradient(
        out.db, [&](const Doubles& at) { return oracle::conv2d(smooth, x, w, at); }, in.b, in.dy, "db");
}

struct Case {
  const char* name;
  Conv2dSpec spec;
};

TEST_P(Conv2dTest, ForwardAndGradientsMatchTheOracle) {
  const Case cases[] = {
      {"plain", {.n = 2, .h = 5, .w = 6, .c = 3, .k = 4, .r = 3, .s = 3}},
      {"one of everything", {.n = 1, .h = 1, .w = 1, .c = 1, .k = 1, .r = 1, .s = 1}},
      {"one channel", {.n = 2, .h = 6, .w = 5, .c = 1, .k = 5, .r = 3, .s = 3}},
      {"padding", {.n = 1, .h = 4, .w = 5, .c = 2, .k = 3, .r = 3, .s = 3, .pad_h = 1, .pad_w = 2}},
      {"stride that leaves rows over",
       {.n = 2, .h = 8, .w = 7, .c = 2, .k = 3, .r = 3, .s = 2, .stride_h = 3, .stride_w = 2}},
      {"dilation",
       {.n = 1, .h = 7, .w = 8, .c = 2, .k = 2, .r = 3, .s = 3, .dilation_h = 2, .dilation_w = 3}},
      {"all at once",
       {.n = 2,
        .h = 7,
        .w = 6,
        .c = 4,
        .k = 6,
        .r = 3,
        .s = 2,
        .stride_h = 2,
        .stride_w = 1,
        .pad_h = 1,
        .pad_w = 1,
        .dilation_h = 1,
        .dilation_w = 2,
        .groups = 2}},
      {"groups", {.n = 1, .h = 4, .w = 4, .c = 6, .k = 9, .r = 3, .s = 3, .groups = 3}},
      {"depthwise",
       {.n = 2, .h = 9, .w = 9, .c = 5, .k = 5, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1, .groups = 5}},
      {"depthwise with a multiplier", {.n = 1, .h = 4, .w = 5, .c = 3, .k = 6, .r = 2, .s = 2, .groups = 3}},
      {"1 x 1", {.n = 3, .h = 3, .w = 4, .c = 7, .k = 5, .r = 1, .s = 1}},
      {"1 x 1 with a stride",
       {.n = 2, .h = 5, .w = 5, .c = 4, .k = 3, .r = 1, .s = 1, .stride_h = 2, .stride_w = 2}},
      {"the whole input", {.n = 2, .h = 3, .w = 4, .c = 3, .k = 4, .r = 3, .s = 4}},
      {"no bias", {.n = 2, .h = 4, .w = 4, .c = 3, .k = 2, .r = 2, .s = 2, .bias = false}},
      {"ReLU", {.n = 2, .h = 4, .w = 4, .c = 3, .k = 4, .r = 3, .s = 3, .relu = true}},
      {"ReLU without a bias",
       {.n = 2, .h = 4, .w = 4, .c = 3, .k = 4, .r = 3, .s = 3, .bias = false, .relu = true}},
      {"first layer", {.n = 2, .h = 6, .w = 6, .c = 1, .k = 4, .r = 3, .s = 3, .needs_dx = false}},
      {"channels of vector length", {.n = 1, .h = 4, .w = 3, .c = 16, .k = 16, .r = 2, .s = 2}},
      {"channels beyond vector length", {.n = 1, .h = 3, .w = 3, .c = 17, .k = 19, .r = 2, .s = 2}},
  };
  for (const Case& test : cases) {
    SCOPED_TRACE(test.name);
    check_against_oracle(exec(), test.spec);
  }
}

// A ReLU that turns NaN into zero would hide that the training has diverged.
TEST_P(Conv2dTest, NaNPassesTheFusedRelu) {
  const Conv2dSpec spec{.n = 2, .h = 4, .w = 4, .c = 3, .k = 20, .r = 3, .s = 3, .relu = true};
  Inputs in(spec);
  in.x[20] = std::numeric_limits<float>::quiet_NaN();
  const auto y = run_conv2d(exec(), spec, in).y;
  EXPECT_TRUE(std::isnan(y[0]));
  EXPECT_FALSE(std::isnan(y.back())) << "the other sample";
}

TEST_P(Conv2dTest, TheSameShapesGiveTheSameBitsEveryTime) {
  const Conv2dSpec spec{.n = 4, .h = 9, .w = 9, .c = 8, .k = 16, .r = 3, .s = 3, .relu = true};
  const Inputs in(spec);
  const Outputs first = run_conv2d(exec(), spec, in), second = run_conv2d(exec(), spec, in);
  EXPECT_EQ(first.y, second.y);
  EXPECT_EQ(first.dx, second.dx);
  EXPECT_EQ(first.dw, second.dw);
  EXPECT_EQ(first.db, second.db);
}

// The gradient of the weights is a sum over the batch, which oneDNN would split over the threads it is
// offered.
TEST(Conv2dThreads, BitsDoNotDependOnHowManyThreadsThereAre) {
  const Conv2dSpec spec{.n = 32, .h = 13, .w = 13, .c = 32, .k = 64, .r = 3, .s = 3};
  const Inputs in(spec);
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const Outputs one = run_conv2d({}, spec, in);
  omp_set_num_threads(4);
  const Outputs four = run_conv2d({}, spec, in);
  EXPECT_EQ(omp_get_max_threads(), 4) << "an operation changed its caller's setting";
  omp_set_num_threads(before);
  EXPECT_EQ(one.y, four.y);
  EXPECT_EQ(one.dx, four.dx);
  EXPECT_EQ(one.dw, four.dw);
  EXPECT_EQ(one.db, four.db);
}

TEST_P(Conv2dTest, AnEmptyBatchHasZeroGradients) {
  const Conv2dSpec spec{.n = 0, .h = 4, .w = 4, .c = 2, .k = 3, .r = 3, .s = 3};
  const Outputs out = run_conv2d(exec(), spec, Inputs(spec));
  EXPECT_THAT(out.dw, testing::Each(0.f));
  EXPECT_THAT(out.db, testing::Each(0.f));
}

TEST_P(Conv2dTest, AnImpossibleSpecIsABug) {
  EXPECT_THROW(Conv2d(exec(), {.n = 1, .h = 2, .w = 5, .c = 1, .k = 1, .r = 3, .s = 3}), Error);
  EXPECT_THROW(Conv2d(exec(), {.n = 1, .h = 5, .w = 5, .c = 3, .k = 4, .r = 3, .s = 3, .groups = 2}), Error);
}

}  // namespace
}  // namespace lockstep::test

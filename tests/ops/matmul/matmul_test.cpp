#include "src/ops/matmul/matmul.h"

#include <gmock/gmock.h>

#include <thread>

#include "src/ops/matmul/linear.h"
#include "tests/support/backend.h"
#include "tests/support/oracles.h"

namespace lockstep::test {
namespace {

class MatmulTest : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(MatmulTest);

std::vector<float> run_matmul(Exec exec, const MatmulSpec& spec, const std::vector<float>& a,
                              const std::vector<float>& b, const std::vector<float>& bias) {
  Matmul op(exec, spec);
  const Guarded<float> in_a(exec, spec.transpose_a ? Shape{spec.k, spec.m} : Shape{spec.m, spec.k}, a);
  const Guarded<float> in_b(exec, spec.transpose_b ? Shape{spec.n, spec.k} : Shape{spec.k, spec.n}, b);
  const Guarded<float> in_bias(exec, {spec.n}, bias);
  const Guarded<float> c(exec, {spec.m, spec.n});
  const Guarded<uint8_t> scratch = workspace(exec, op.workspace_bytes());
  op.run(in_a, in_b, spec.epilogue == Epilogue::none ? ConstTensor{} : in_bias.tensor(), c, scratch);
  scratch.values();  // its guards
  return c.values();
}

TEST_P(MatmulTest, MatchesTheOracleForAllLayoutsEpiloguesAndOddSizes) {
  struct Size {
    int64_t m, n, k;
  };
  uint64_t seed = 1;
  for (const Size& size : {Size{1, 1, 1}, Size{7, 5, 3}, Size{1, 33, 17}, Size{64, 10, 65}, Size{31, 1, 130}})
    for (const bool transpose_a : {false, true})
      for (const bool transpose_b : {false, true})
        for (const Epilogue epilogue : {Epilogue::none, Epilogue::bias, Epilogue::bias_relu}) {
          SCOPED_TRACE(fmt::format("({}, {}, {}) {} {} {}", size.m, size.n, size.k, transpose_a, transpose_b,
                                   static_cast<int>(epilogue)));
          const MatmulSpec spec{size.m, size.n, size.k, transpose_a, transpose_b, epilogue};
          const auto a = random_values(size.m * size.k, ++seed), b = random_values(size.k * size.n, ++seed);
          const auto bias = random_values(size.n, ++seed);
          expect_close(run_matmul(exec(), spec, a, b, bias),
                       oracle::matmul(spec, to_double(a), to_double(b), to_double(bias)), kSum, "c");
        }
}

TEST_P(MatmulTest, AnEmptySumIsZeroOrTheBias) {
  EXPECT_THAT(run_matmul(exec(), {.m = 2, .n = 2, .k = 0}, {}, {}, {5, 5}), testing::Each(0.f));
  EXPECT_THAT(run_matmul(exec(), {.m = 2, .n = 2, .k = 0, .epilogue = Epilogue::bias_relu}, {}, {}, {-3, 4}),
              testing::ElementsAre(0.f, 4.f, 0.f, 4.f));
}

TEST_P(MatmulTest, NothingIsWrittenForAnEmptyBatch) {
  EXPECT_TRUE(
      run_matmul(exec(), {.m = 0, .n = 3, .k = 4}, {}, random_values(12, 1), random_values(3, 2)).empty());
}

// A ReLU that turns NaN into zero would hide that the training has diverged.
TEST_P(MatmulTest, NaNPassesTheFusedRelu) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto c = run_matmul(exec(), {.m = 2, .n = 3, .k = 2, .epilogue = Epilogue::bias_relu}, {nan, 1, 1, 1},
                            random_values(6, 1), {1, 1, 1});
  for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(std::isnan(c[i]));
  for (size_t i = 3; i < 6; ++i) EXPECT_FALSE(std::isnan(c[i]));
}

TEST_P(MatmulTest, TheSameShapesGiveTheSameBitsEveryTime) {
  const MatmulSpec spec{.m = 33, .n = 47, .k = 129, .transpose_b = true};
  const auto a = random_values(33 * 129, 3), b = random_values(47 * 129, 4), bias = random_values(47, 5);
  EXPECT_EQ(run_matmul(exec(), spec, a, b, bias), run_matmul(exec(), spec, a, b, bias));
}

TEST_P(MatmulTest, AWrongShapeIsABug) {
  Matmul op(exec(), {.m = 2, .n = 3, .k = 4});
  const Guarded<float> a(exec(), {2, 4}), b(exec(), {3, 4}), c(exec(), {2, 3});
  const Guarded<uint8_t> scratch = workspace(exec(), op.workspace_bytes());
  try {
    op.run(a, b, {}, c, scratch);
    FAIL() << "b is transposed";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::bug);
    EXPECT_THAT(error.what(), testing::HasSubstr("matmul: b is (3, 4), not (4, 3)"));
  }
}

// Lanes run different objects at the same time, and each must compute what it computes alone.
TEST(MatmulThreads, ObjectsAreIndependent) {
  const MatmulSpec spec{.m = 32, .n = 64, .k = 100};
  const auto a = random_values(3200, 1), b = random_values(6400, 2), bias = random_values(64, 3);
  const auto alone = run_matmul({}, spec, a, b, bias);
  std::vector<std::vector<float>> together(4);
  std::vector<std::thread> threads;
  for (auto& result : together)
    threads.emplace_back([&] {
      for (int round = 0; round < 5; ++round) result = run_matmul({}, spec, a, b, bias);
    });
  for (std::thread& thread : threads) thread.join();
  for (const auto& result : together) EXPECT_EQ(result, alone);
}

class LinearTest : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(LinearTest);

struct LinearRun {
  std::vector<float> y, dx, dw, db;
};

LinearRun run_linear(Exec exec, const LinearSpec& spec, const std::vector<float>& x,
                     const std::vector<float>& w, const std::vector<float>& b, const std::vector<float>& dy) {
  Linear op(exec, spec);
  const Guarded<float> in_x(exec, {spec.rows, spec.in}, x), in_w(exec, {spec.out, spec.in}, w),
      in_b(exec, {spec.out}, b), in_dy(exec, {spec.rows, spec.out}, dy);
  const Guarded<float> y(exec, {spec.rows, spec.out}), dx(exec, {spec.rows, spec.in}),
      dw(exec, {spec.out, spec.in}), db(exec, {spec.out});
  const Guarded<uint8_t> scratch = workspace(exec, op.workspace_bytes());
  op.forward(in_x, in_w, spec.bias ? ConstTensor(in_b) : ConstTensor{}, y, scratch);
  op.backward(in_x, in_w, in_dy, spec.needs_dx ? dx.tensor() : Tensor{}, dw,
              spec.bias ? db.tensor() : Tensor{}, scratch);
  scratch.values();
  return {y.values(), dx.values(), dw.values(), db.values()};
}

TEST_P(LinearTest, ForwardAndGradientsMatchTheOracle) {
  for (const LinearSpec& spec :
       {LinearSpec{.rows = 5, .in = 7, .out = 3}, LinearSpec{.rows = 1, .in = 1, .out = 1},
        LinearSpec{.rows = 9, .in = 4, .out = 17, .bias = false},
        LinearSpec{.rows = 6, .in = 5, .out = 4, .needs_dx = false}}) {
    SCOPED_TRACE(fmt::format("{} {} {}", spec.rows, spec.in, spec.out));
    const auto x = random_values(spec.rows * spec.in, 1), w = random_values(spec.out * spec.in, 2);
    const auto b = random_values(spec.out, 3), dy = random_values(spec.rows * spec.out, 4);
    const LinearRun run = run_linear(exec(), spec, x, w, b, dy);
    const MatmulSpec product{.m = spec.rows,
                             .n = spec.out,
                             .k = spec.in,
                             .transpose_b = true,
                             .epilogue = spec.bias ? Epilogue::bias : Epilogue::none};
    const auto forward = [&](const Doubles& at_x, const Doubles& at_w, const Doubles& at_b) {
      return oracle::matmul(product, at_x, at_w, at_b);
    };
    expect_close(run.y, forward(to_double(x), to_double(w), to_double(b)), kSum, "y");
    if (spec.needs_dx)
      expect_gradient(
          run.dx, [&](const Doubles& at) { return forward(at, to_double(w), to_double(b)); }, x, dy, "dx");
    expect_gradient(
        run.dw, [&](const Doubles& at) { return forward(to_double(x), at, to_double(b)); }, w, dy, "dw");
    if (spec.bias)
      expect_gradient(
          run.db, [&](const Doubles& at) { return forward(to_double(x), to_double(w), at); }, b, dy, "db");
  }
}

TEST_P(LinearTest, ReluIsFusedWithAndWithoutABias) {
  for (const bool bias : {true, false}) {
    const LinearSpec spec{.rows = 8, .in = 6, .out = 11, .bias = bias, .relu = true};
    const auto x = random_values(48, 1), w = random_values(66, 2), b = random_values(11, 3),
               dy = random_values(88, 4);
    Doubles expected = oracle::matmul(
        {.m = 8, .n = 11, .k = 6, .transpose_b = true, .epilogue = bias ? Epilogue::bias : Epilogue::none},
        to_double(x), to_double(w), to_double(b));
    expected = oracle::activation(Activation::relu, expected);
    expect_close(run_linear(exec(), spec, x, w, b, dy).y, expected, kSum, "y");
  }
}

TEST_P(LinearTest, AnEmptyBatchHasZeroGradients) {
  const LinearRun run =
      run_linear(exec(), {.rows = 0, .in = 3, .out = 2}, {}, random_values(6, 1), {1, 2}, {});
  EXPECT_THAT(run.dw, testing::Each(0.f));
  EXPECT_THAT(run.db, testing::Each(0.f));
}

}  // namespace
}  // namespace lockstep::test

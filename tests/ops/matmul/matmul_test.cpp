#include "src/ops/matmul/matmul.h"

#include <gmock/gmock.h>

#include <memory>

#include "src/ops/matmul/linear.h"
#include "tests/support/backend.h"
#include "tests/support/harness/op_case.h"
#include "tests/support/oracles.h"

namespace lockstep::test {
namespace {

/// is_narrow: in two bytes, the result has the type of the factors, otherwise f32.
OpCase matmul_case(const MatmulSpec& spec, const Fill& a = {}, const Fill& bias = {}, bool is_narrow = true) {
  OpCase op;
  op.input("a", spec.transpose_a ? Shape{spec.k, spec.m} : Shape{spec.m, spec.k}, a);
  op.input("b", spec.transpose_b ? Shape{spec.n, spec.k} : Shape{spec.k, spec.n});
  if (spec.bias) op.input("bias", {spec.n}, bias);
  if (spec.adds) op.input("added", {spec.m, spec.n});
  for (const char* result : {"c", "sum"})
    if (result == std::string("c") || spec.keeps_sum())
      op.output(result, {spec.m, spec.n}, spec.k == 0 ? kRounding : kSum);
  op.activations = {"a", "b"};
  if (is_narrow) op.activations.insert(op.activations.end(), {"c", "sum", "bias", "added"});
  op.prepare = [=](Exec exec, DType type) {
    MatmulSpec typed = spec;
    typed.type = type;
    if (is_narrow) typed.result = type;
    const auto matmul = std::make_shared<Matmul>(exec, typed);
    return OpRoutines{[=](const OpCall& c) {
                        matmul->run(c["a"], c["b"], c["bias"], c["c"], c.workspace, c["added"], c["sum"]);
                      },
                      nullptr, matmul->workspace_bytes()};
  };
  op.oracle = [=](const Values& in) {
    Doubles sum = oracle::matmul(spec, in["a"], in["b"], in["bias"]);
    for (size_t i = 0; spec.adds && i < sum.size(); ++i) sum[i] += in["added"][i];
    Values values = {{"c", spec.activation ? oracle::activation(*spec.activation, sum) : sum}};
    if (spec.keeps_sum()) values["sum"] = sum;
    return values;
  };
  op.flops = 2.0 * static_cast<double>(spec.m * spec.n * spec.k);
  return op;
}

const RegisterOp kMatmul("matmul", [](Op& op) {
  const auto add = [&](MatmulSpec spec) {
    op.add(fmt::format("{} x {} x {}{}{}{}{}{}", spec.m, spec.n, spec.k,
                       spec.transpose_a ? ", a transposed" : "", spec.transpose_b ? ", b transposed" : "",
                       spec.bias ? ", a bias" : "", spec.adds ? ", a sum" : "",
                       spec.activation ? ", " + to_string(*spec.activation) : ""),
           spec.m, [spec](int64_t m) mutable {
             spec.m = m;
             return matmul_case(spec);
           });
  };
  const std::optional<Activation> relu = Activation::relu;
  for (const auto& [bias, activation] :
       {std::pair{false, std::optional<Activation>()}, {true, {}}, {true, relu}}) {
    for (const bool transpose_a : {false, true})
      for (const bool transpose_b : {false, true})
        for (const auto& [m, n, k] :
             {std::array<int64_t, 3>{1, 1, 1}, {7, 5, 3}, {1, 33, 17}, {64, 10, 65}, {31, 1, 130}})
          add({m, n, k, transpose_a, transpose_b, bias, /*adds=*/false, activation});
    // An empty sum is zero, or the bias.
    add({.m = 2, .n = 2, .k = 0, .bias = bias, .activation = activation});
    for (const int64_t k : {0, 33})
      add({.m = 7,
           .n = 19,
           .k = k,
           .transpose_b = true,
           .bias = bias,
           .adds = true,
           .activation = activation});
  }
  // cuBLASLt has a GELU by tanh for a second result whose rows 8 divides, if it likes the problem.
  for (const Activation activation : {Activation::gelu, Activation::gelu_tanh})
    for (const bool bias : {true, false})
      for (const bool adds : {false, true})
        for (const auto& [n, k] : {std::pair<int64_t, int64_t>{24, 40}, {24, 33}, {19, 40}, {8, 0}})
          add({.m = 7,
               .n = n,
               .k = k,
               .transpose_b = true,
               .bias = bias,
               .adds = adds,
               .activation = activation});
  add({.m = 33, .n = 47, .k = 129, .transpose_b = true});
  add({.m = 32, .n = 64, .k = 100});
  for (const bool bias : {false, true}) {
    const MatmulSpec spec{.m = 9, .n = 6, .k = 20, .transpose_a = true, .bias = bias};
    op.add(fmt::format("a result in f32, {}", bias ? "a bias" : "no bias"),
           matmul_case(spec, {}, {}, /*is_narrow=*/false));
  }
  // A ReLU that turns NaN into zero would hide that the training has diverged.
  for (const Activation activation : {Activation::relu, Activation::gelu, Activation::gelu_tanh}) {
    Doubles a(16, 1);
    a[0] = std::nan("");
    op.add("NaN and " + to_string(activation),
           matmul_case({.m = 2, .n = 8, .k = 8, .bias = true, .activation = activation}, exactly(a)));
  }
});

/// is_last: in two bytes, the output and the bias are f32.
OpCase linear_case(const LinearSpec& spec, bool is_last = false) {
  OpCase op;
  op.input("x", {spec.rows, spec.in}).input("w", {spec.out, spec.in});
  if (spec.bias) op.input("b", {spec.out});
  if (spec.adds) op.input("added", {spec.rows, spec.out});
  op.output("y", {spec.rows, spec.out}, kSum).output_gradient("y");
  const bool keeps_sum = spec.activation && backward_reads_input(*spec.activation);
  if (keeps_sum) op.output("sum", {spec.rows, spec.out}, kSum);
  if (spec.needs_dx) op.gradient("x", kGradient, {.first = spec.rows});
  // What dx is added to has no such parts.
  const int64_t parts = spec.adds_to_dx ? 1 : spec.out;
  op.gradient("w", kGradient, {.first = parts}, {.last = parts});
  if (spec.bias) op.gradient("b", kGradient, {.last = parts});
  op.activations = {"x"};
  op.parameters = {"w"};
  if (is_last)
    op.parameters.emplace_back("dy");
  else
    op.activations.insert(op.activations.end(), {"y", "sum", "added"}), op.parameters.emplace_back("b");
  op.prepare = [=](Exec exec, DType type) {
    LinearSpec typed = spec;
    typed.type = type;
    if (!is_last) typed.result = type;
    const auto linear = std::make_shared<Linear>(exec, typed);
    return OpRoutines{[=](const OpCall& c) {
                        linear->forward(c["x"], c["w"], c["b"], c["y"], c.workspace, c["added"], c["sum"]);
                      },
                      [=](const OpCall& c) {
                        const Tensor kept = keeps_sum ? c["sum"] : spec.activation ? c["y"] : Tensor{};
                        linear->backward(c["x"], c["w"], kept, c["dy"], c["dx"], c["dw"], c["db"],
                                         c.workspace);
                      },
                      linear->workspace_bytes()};
  };
  if (spec.activation) op.overwritten = {"dy"};
  if (spec.activation == Activation::relu) op.kinks = 0.01;
  if (keeps_sum) op.rounded = {"dw", "db"};  // computed from rounded sums, and gradients of sums
  op.oracle = [=](const Values& in) {
    const MatmulSpec product{
        .m = spec.rows, .n = spec.out, .k = spec.in, .transpose_b = true, .bias = spec.bias};
    Doubles sum = oracle::matmul(product, in["x"], in["w"], in["b"]);
    for (size_t i = 0; spec.adds && i < sum.size(); ++i) sum[i] += in["added"][i];
    Values values = {{"y", spec.activation ? oracle::activation(*spec.activation, sum) : sum}};
    if (keeps_sum) values["sum"] = sum;
    return values;
  };
  op.flops = 2.0 * static_cast<double>(spec.rows * spec.in * spec.out);
  if (spec.adds_to_dx) op.adds_to_gradient("x");
  return op;
}

Op::Make any_rows(LinearSpec spec, bool is_last = false) {
  return [spec, is_last](int64_t rows) mutable {
    spec.rows = rows;
    return linear_case(spec, is_last);
  };
}

const RegisterOp kLinear("linear", [](Op& op) {
  op.add("plain", 5, any_rows({.in = 7, .out = 3}));
  op.add("one of everything", 1, any_rows({.in = 1, .out = 1}));
  op.add("no bias", 9, any_rows({.in = 4, .out = 17, .bias = false}));
  op.add("first layer", 6, any_rows({.in = 5, .out = 4, .needs_dx = false}));
  op.add("ReLU", 8, any_rows({.in = 6, .out = 11, .activation = Activation::relu}));
  op.add("a sum", 8, any_rows({.in = 6, .out = 11, .adds = true}));
  op.add("a sum and a ReLU", 8, any_rows({.in = 6, .out = 8, .adds = true, .activation = Activation::relu}));
  op.add("adds to dx", 8, any_rows({.in = 9, .out = 11, .adds_to_dx = true}));
  op.add("last layer", 8, any_rows({.in = 6, .out = 11}, /*is_last=*/true));
  op.add("ReLU without a bias", 8,
         any_rows({.in = 6, .out = 11, .bias = false, .activation = Activation::relu}));
  for (const Activation activation : {Activation::gelu, Activation::gelu_tanh})
    for (const bool bias : {true, false})
      op.add(fmt::format("{}{}", to_string(activation), bias ? "" : " without a bias"), 8,
             any_rows({.in = 16, .out = 24, .bias = bias, .activation = activation}));
  op.add("a sum and a GELU", 8, any_rows({.in = 6, .out = 8, .adds = true, .activation = Activation::gelu}));
  op.time("hidden", 64, any_rows({.in = 784, .out = 64, .needs_dx = false}));
  op.time("output", 64, any_rows({.in = 64, .out = 10}));
  op.time("classifier", 64, any_rows({.in = 1600, .out = 10}));
});

class MatmulTest : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(MatmulTest);

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

// cuBLASLt applies a GELU to the sum before that is rounded to two bytes, in the same pass. The sum is
// 1 + 2^-8, halfway between two numbers of bf16, and GELU(1 + 2^-8) rounds to the one above GELU(1).
TEST_P(MatmulTest, CublasLtAppliesAGeluToTheUnroundedSum) {
  if (!exec().on_cuda()) GTEST_SKIP() << "oneDNN's GELU would not keep the sum";
  Matmul op(exec(), {.m = 1,
                     .n = 8,
                     .k = 8,
                     .activation = Activation::gelu_tanh,
                     .type = DType::bf16,
                     .result = DType::bf16});
  std::vector<bf16> ones(64, bf16(1.0f)), row(8, bf16(0.0f));
  row[0] = bf16(1.0f), row[1] = bf16(0x1p-8f);
  const Guarded<bf16> a(exec(), {1, 8}, row), b(exec(), {8, 8}, ones), c(exec(), {1, 8}), sum(exec(), {1, 8});
  const Guarded<uint8_t> scratch = workspace(exec(), op.workspace_bytes());
  op.run(a, b, {}, c, scratch, {}, sum);
  EXPECT_EQ(float{sum.values()[0]}, 1.0f);
  EXPECT_EQ(float{c.values()[0]}, 216 * 0x1p-8f);
}

}  // namespace
}  // namespace lockstep::test

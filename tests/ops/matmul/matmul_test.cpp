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
  if (spec.epilogue != Epilogue::none) op.input("bias", {spec.n}, bias);
  if (spec.adds) op.input("added", {spec.m, spec.n});
  op.output("c", {spec.m, spec.n}, spec.k == 0 ? kRounding : kSum);
  op.activations = {"a", "b"};
  if (is_narrow) op.activations.insert(op.activations.end(), {"c", "bias", "added"});
  op.prepare = [=](Exec exec, DType type) {
    MatmulSpec typed = spec;
    typed.type = type;
    if (is_narrow) typed.result = type;
    const auto matmul = std::make_shared<Matmul>(exec, typed);
    return OpRoutines{[=](const OpCall& c) {
                        matmul->run(c["a"], c["b"], c["bias"], c["c"], c.workspace,
                                    spec.adds ? c["added"] : Tensor{});
                      },
                      nullptr, matmul->workspace_bytes()};
  };
  op.oracle = [=](const Values& in) {
    MatmulSpec before = spec;
    if (spec.adds && spec.epilogue == Epilogue::bias_relu) before.epilogue = Epilogue::bias;
    Doubles c = oracle::matmul(before, in["a"], in["b"], in["bias"]);
    for (size_t i = 0; spec.adds && i < c.size(); ++i) c[i] += in["added"][i];
    if (before.epilogue != spec.epilogue) c = oracle::activation(Activation::relu, c);
    return Values{{"c", c}};
  };
  op.flops = 2.0 * static_cast<double>(spec.m * spec.n * spec.k);
  return op;
}

const RegisterOp kMatmul("matmul", [](Op& op) {
  const auto add = [&](MatmulSpec spec) {
    op.add(fmt::format("{} x {} x {}{}{}{}, epilogue {}", spec.m, spec.n, spec.k,
                       spec.transpose_a ? ", a transposed" : "", spec.transpose_b ? ", b transposed" : "",
                       spec.adds ? ", a sum" : "", static_cast<int>(spec.epilogue)),
           spec.m, [spec](int64_t m) mutable {
             spec.m = m;
             return matmul_case(spec);
           });
  };
  for (const Epilogue epilogue : {Epilogue::none, Epilogue::bias, Epilogue::bias_relu}) {
    for (const bool transpose_a : {false, true})
      for (const bool transpose_b : {false, true})
        for (const auto& [m, n, k] :
             {std::array<int64_t, 3>{1, 1, 1}, {7, 5, 3}, {1, 33, 17}, {64, 10, 65}, {31, 1, 130}})
          add({m, n, k, transpose_a, transpose_b, /*adds=*/false, epilogue});
    add({.m = 2, .n = 2, .k = 0, .epilogue = epilogue});  // an empty sum is zero, or the bias
    for (const int64_t k : {0, 33})
      add({.m = 7, .n = 19, .k = k, .transpose_b = true, .adds = true, .epilogue = epilogue});
  }
  add({.m = 33, .n = 47, .k = 129, .transpose_b = true});
  add({.m = 32, .n = 64, .k = 100});
  for (const Epilogue epilogue : {Epilogue::none, Epilogue::bias}) {
    const MatmulSpec spec{.m = 9, .n = 6, .k = 20, .transpose_a = true, .epilogue = epilogue};
    op.add(fmt::format("a result in f32, epilogue {}", static_cast<int>(epilogue)),
           matmul_case(spec, {}, {}, /*is_narrow=*/false));
  }
  // A ReLU that turns NaN into zero would hide that the training has diverged.
  op.add("NaN and a fused ReLU", matmul_case({.m = 2, .n = 3, .k = 2, .epilogue = Epilogue::bias_relu},
                                             exactly({std::nan(""), 1, 1, 1}), exactly({1, 1, 1})));
});

/// is_last: in two bytes, the output and the bias are f32.
OpCase linear_case(const LinearSpec& spec, bool is_last = false) {
  OpCase op;
  op.input("x", {spec.rows, spec.in}).input("w", {spec.out, spec.in});
  if (spec.bias) op.input("b", {spec.out});
  if (spec.adds) op.input("added", {spec.rows, spec.out});
  op.output("y", {spec.rows, spec.out}, kSum).output_gradient("y");
  if (spec.needs_dx) op.gradient("x", kGradient, spec.rows);
  op.gradient("w");
  if (spec.bias) op.gradient("b");
  op.activations = {"x"};
  op.parameters = {"w"};
  if (is_last)
    op.parameters.emplace_back("dy");
  else
    op.activations.insert(op.activations.end(), {"y", "added"}), op.parameters.emplace_back("b");
  op.prepare = [=](Exec exec, DType type) {
    LinearSpec typed = spec;
    typed.type = type;
    if (!is_last) typed.result = type;
    const auto linear = std::make_shared<Linear>(exec, typed);
    return OpRoutines{[=](const OpCall& c) {
                        linear->forward(c["x"], c["w"], c["b"], c["y"], c.workspace,
                                        spec.adds ? c["added"] : Tensor{});
                      },
                      [=](const OpCall& c) {
                        linear->backward(c["x"], c["w"], spec.relu ? c["y"] : Tensor{}, c["dy"], c["dx"],
                                         c["dw"], c["db"], c.workspace);
                      },
                      linear->workspace_bytes()};
  };
  if (spec.relu) op.kinks = 0.01, op.overwritten = {"dy"};
  op.oracle = [=](const Values& in) {
    const MatmulSpec product{.m = spec.rows,
                             .n = spec.out,
                             .k = spec.in,
                             .transpose_b = true,
                             .epilogue = spec.bias ? Epilogue::bias : Epilogue::none};
    Doubles y = oracle::matmul(product, in["x"], in["w"], in["b"]);
    for (size_t i = 0; spec.adds && i < y.size(); ++i) y[i] += in["added"][i];
    if (spec.relu) y = oracle::activation(Activation::relu, y);
    return Values{{"y", y}};
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
  op.add("ReLU", 8, any_rows({.in = 6, .out = 11, .relu = true}));
  op.add("a sum", 8, any_rows({.in = 6, .out = 11, .adds = true}));
  op.add("a sum and a ReLU", 8, any_rows({.in = 6, .out = 8, .adds = true, .relu = true}));
  op.add("adds to dx", 8, any_rows({.in = 9, .out = 11, .adds_to_dx = true}));
  op.add("last layer", 8, any_rows({.in = 6, .out = 11}, /*is_last=*/true));
  op.add("ReLU without a bias", 8, any_rows({.in = 6, .out = 11, .bias = false, .relu = true}));
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

}  // namespace
}  // namespace lockstep::test

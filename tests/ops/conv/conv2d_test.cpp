#include "src/ops/conv/conv2d.h"

#include <gmock/gmock.h>

#include <memory>

#include "tests/support/backend.h"
#include "tests/support/harness/op_case.h"
#include "tests/support/oracles.h"

namespace lockstep::test {
namespace {

OpCase conv2d_case(const Conv2dSpec& spec, const Fill& x = {}) {
  OpCase op;
  op.input("x", {spec.n, spec.h, spec.w, spec.c}, x);
  op.input("w", {spec.k, spec.r, spec.s, spec.c / spec.groups});
  if (spec.bias) op.input("b", {spec.k});
  op.output("y", {spec.n, spec.out_h(), spec.out_w(), spec.k}, kSum);
  op.prepare = [=](Exec exec) {
    const auto conv = std::make_shared<Conv2d>(exec, spec);
    return OpRoutines{[=](const OpCall& c) { conv->forward(c["x"], c["w"], c["b"], c["y"], c.workspace); },
                      [=](const OpCall& c) {
                        conv->backward(c["x"], c["w"], c["dy"], c["dx"], c["dw"], c["db"], c.workspace);
                      },
                      conv->workspace_bytes()};
  };
  op.oracle = [=](const Values& in) {
    return Values{{"y", oracle::conv2d(spec, in["x"], in["w"], in["b"])}};
  };
  op.flops = 2.0 * static_cast<double>(spec.n * spec.out_h() * spec.out_w() * spec.k * spec.r * spec.s *
                                       spec.c / spec.groups);
  return op;
}

OpCase with_gradients(const Conv2dSpec& spec) {
  OpCase op = conv2d_case(spec);
  op.output_gradient("y");
  if (spec.needs_dx) op.gradient("x", kGradient, spec.n);
  op.gradient("w");
  if (spec.bias) op.gradient("b");
  // backward expects a gradient that ReLU has masked already, so it is the one without ReLU.
  Conv2dSpec smooth = spec;
  smooth.relu = false;
  op.smooth = conv2d_case(smooth).oracle;
  return op;
}

Op::Make any_batch(Conv2dSpec spec) {
  return [spec](int64_t n) mutable {
    spec.n = n;
    return with_gradients(spec);
  };
}

struct Case {
  const char* name;
  Conv2dSpec spec;
};

const Case kCases[] = {
    {"plain", {.n = 2, .h = 5, .w = 6, .c = 3, .k = 4, .r = 3, .s = 3}},
    {"one of everything", {.n = 1, .h = 1, .w = 1, .c = 1, .k = 1, .r = 1, .s = 1}},
    {"one channel", {.n = 2, .h = 6, .w = 5, .c = 1, .k = 5, .r = 3, .s = 3}},
    {"padding", {.n = 1, .h = 4, .w = 5, .c = 2, .k = 3, .r = 3, .s = 3, .pad_h = 1, .pad_w = 2}},
    {"stride that leaves rows over",
     {.n = 2, .h = 8, .w = 7, .c = 2, .k = 3, .r = 3, .s = 2, .stride_h = 3, .stride_w = 2}},
    {"dilation", {.n = 1, .h = 7, .w = 8, .c = 2, .k = 2, .r = 3, .s = 3, .dilation_h = 2, .dilation_w = 3}},
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

const RegisterOp kConv2d("conv2d", [](Op& op) {
  for (const auto& [name, spec] : kCases) op.add(name, spec.n, any_batch(spec));
  // A ReLU that turns NaN into zero would hide that the training has diverged.
  Fill with_nan;
  with_nan.map = [seen = 0](double value) mutable { return seen++ == 20 ? std::nan("") : value; };
  op.add("NaN and a fused ReLU",
         conv2d_case({.n = 2, .h = 4, .w = 4, .c = 3, .k = 20, .r = 3, .s = 3, .relu = true}, with_nan));
  op.time("first", 64,
          any_batch({.h = 28, .w = 28, .c = 1, .k = 32, .r = 3, .s = 3, .relu = true, .needs_dx = false}));
  // The gradient of the weights is a sum over the batch, which oneDNN would split over the threads it is
  // offered.
  op.time("second", 32, any_batch({.h = 13, .w = 13, .c = 32, .k = 64, .r = 3, .s = 3, .relu = true}));
});

class Conv2dTest : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(Conv2dTest);

TEST_P(Conv2dTest, AnImpossibleSpecIsABug) {
  EXPECT_THROW(Conv2d(exec(), {.n = 1, .h = 2, .w = 5, .c = 1, .k = 1, .r = 3, .s = 3}), Error);
  EXPECT_THROW(Conv2d(exec(), {.n = 1, .h = 5, .w = 5, .c = 3, .k = 4, .r = 3, .s = 3, .groups = 2}), Error);
}

}  // namespace
}  // namespace lockstep::test

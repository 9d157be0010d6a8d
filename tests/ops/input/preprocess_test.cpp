#include "src/ops/input/preprocess.h"

#include <gmock/gmock.h>

#include "tests/support/backend.h"
#include "tests/support/harness/op_case.h"

namespace lockstep::test {
namespace {

/// Where element i of the channels-last y lies in an x that is stored channels-first.
int64_t stored_first(const Shape& y, int64_t i) {
  const int64_t channels = y[-1], per_sample = y.sample().elements(), positions = per_sample / channels;
  const int64_t sample = i / per_sample, position = i % per_sample / channels, c = i % channels;
  return sample * per_sample + c * positions + position;
}

struct Affine {
  Fill pivot = {}, scale = between(0.5, 2), shift = {};
};
const Affine kIdentity{exactly({0}), exactly({1}), exactly({0})};

OpCase preprocess_case(const Shape& shape, bool channels_first, DType dtype, const Fill& x,
                       const Affine& affine, const Tolerance& tolerance) {
  const Shape channels{shape[-1]};
  OpCase op;
  op.input("x", shape, x, dtype).input("pivot", channels, affine.pivot);
  op.input("scale", channels, affine.scale).input("shift", channels, affine.shift);
  op.output("y", shape, tolerance);
  op.runs([=](const OpCall& c) {
    preprocess(c.exec, {.channels_first = channels_first}, c["x"], c["pivot"], c["scale"], c["shift"],
               c["y"]);
  });
  op.oracle = [=](const Values& in) {
    Values out = {{"y", {}}};
    for (int64_t i = 0; i < shape.elements(); ++i) {
      const auto from = static_cast<size_t>(channels_first ? stored_first(shape, i) : i);
      const auto c = static_cast<size_t>(i % shape[-1]);
      out["y"].push_back((in["x"][from] - in["pivot"][c]) * in["scale"][c] + in["shift"][c]);
    }
    return out;
  };
  return op;
}

OpCase fixed(DType dtype, int64_t samples, const Fill& x, const Affine& affine, const Tolerance& tolerance) {
  return preprocess_case({samples, 1}, false, dtype, x, affine, tolerance);
}

/// All 65536 of them.
Fill every_half() {
  Fill fill;
  for (int bits = 0; bits < 0x10000; ++bits)
    for (const int byte : {bits & 255, bits >> 8}) fill.bytes.push_back(static_cast<uint8_t>(byte));
  return fill;
}

const RegisterOp kPreprocess("preprocess", [](Op& op) {
  const Tolerance tolerance{2e-6, 2e-6, "a difference, a product and a sum of floats that may cancel"};
  const std::pair<DType, Fill> types[] = {{DType::u8, between(0, 256)},
                                          {DType::f16, between(-2, 2)},
                                          {DType::f32, between(-3, 3)},
                                          {DType::f64, between(-1, 1)}};
  for (const Shape& shape :
       {Shape{2, 5, 4, 3}, Shape{1, 1, 1, 1}, Shape{3, 28, 28, 1}, Shape{7, 13}, Shape{2, 3, 700}})
    for (const bool channels_first : {false, true})
      for (const auto& [dtype, x] : types)
        op.add(fmt::format("{} samples of {}{}", to_string(dtype), to_string(shape.sample()),
                           channels_first ? ", channels first" : ""),
               shape[0], [=, dtype = dtype, x = x](int64_t n) {
                 return preprocess_case(shape.sample().batched(n), channels_first, dtype, x, {}, tolerance);
               });
  op.add("every half has its value", fixed(DType::f16, 0x10000, every_half(), kIdentity, kExact));
  op.add("unit scaling maps bytes onto zero to one",
         fixed(DType::u8, 3, exactly({0, 51, 255}), {exactly({0}), exactly({1 / 255.}), exactly({0})},
               kRounding));
  // Near their pivot numbers keep all their digits.
  op.add("f64 near the pivot",
         fixed(DType::f64, 3, exactly({1e9 + 0.123456789, 1e9 - 1.987654321, 1e9}),
               {exactly({1e9}), exactly({0.1}), exactly({0})}, {1e-8, 2e-7, "1e9 is known to 1e-7"}));
  op.add("f32 near the pivot", fixed(DType::f32, 3, exactly({16777216 - 3, 16777216 - 1, 16777216}),
                                     {exactly({16777216}), exactly({0.1}), exactly({0})}, kRounding));
  for (const bool channels_first : {false, true})
    op.time(channels_first ? "color, channels first" : "color", 64, [=](int64_t n) {
      return preprocess_case({n, 28, 28, 3}, channels_first, DType::u8, between(0, 256), {}, tolerance);
    });
  op.time("grey", 64, [=](int64_t n) {
    return preprocess_case({n, 28, 28, 1}, false, DType::u8, between(0, 256), {}, tolerance);
  });
});

class PreprocessTest : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(PreprocessTest);

TEST_P(PreprocessTest, RefusesLabelsAndOtherShapes) {
  const Guarded<int32_t> labels(exec(), {3}, {0, 1, 2});
  const Guarded<uint8_t> bytes(exec(), {4});
  const Guarded<float> pivot(exec(), {1}, {0}), scale(exec(), {1}, {1}), shift(exec(), {1}, {0}),
      y(exec(), {3, 1});
  EXPECT_THROW(preprocess(exec(), {}, labels, pivot, scale, shift, y), Error);
  EXPECT_THROW(preprocess(exec(), {}, bytes, pivot, scale, shift, y), Error);
}

}  // namespace
}  // namespace lockstep::test

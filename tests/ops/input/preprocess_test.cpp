#include "src/ops/input/preprocess.h"

#include <gmock/gmock.h>

#include "tests/support/backend.h"
#include "tests/support/compare.h"

namespace lockstep::test {
namespace {

class PreprocessTest : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(PreprocessTest);

/// The value that IEEE half precision gives to some bits, from its definition.
double half_value(uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == 31) return fraction == 0 ? sign * HUGE_VAL : std::nan("");
  return sign * (exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25));
}

/// Where element i of the channels-last y lies in an x that is stored channels-first.
int64_t stored_first(const Shape& y, int64_t i) {
  const int64_t channels = y[-1], per_sample = y.sample().elements(), positions = per_sample / channels;
  const int64_t sample = i / per_sample, position = i % per_sample / channels, c = i % channels;
  return sample * per_sample + c * positions + position;
}

/// Runs x (of any type, as bytes) and compares with (values[i] - pivot) * scale + shift.
template <typename T>
void check(Exec exec, const Shape& y_shape, bool channels_first, DType dtype, const std::vector<T>& x,
           const Doubles& values) {
  const int64_t channels = y_shape[-1];
  const auto pivot = random_values(channels, 7), scale = random_values(channels, 8, 0.5f, 2),
             shift = random_values(channels, 9);
  Doubles expected;
  for (int64_t i = 0; i < y_shape.elements(); ++i) {
    const auto from = static_cast<size_t>(channels_first ? stored_first(y_shape, i) : i);
    const auto c = static_cast<size_t>(i % channels);
    expected.push_back((values[from] - pivot[c]) * scale[c] + shift[c]);
  }
  std::vector<uint8_t> bytes(x.size() * sizeof(T));
  if (!x.empty()) std::memcpy(bytes.data(), x.data(), bytes.size());
  const Guarded<uint8_t> in(exec, {static_cast<int64_t>(bytes.size())}, bytes);
  const Guarded<float> in_pivot(exec, {channels}, pivot), in_scale(exec, {channels}, scale),
      in_shift(exec, {channels}, shift), y(exec, y_shape);
  preprocess(exec, {.channels_first = channels_first}, ConstTensor(in.tensor().raw(), dtype, y_shape),
             in_pivot, in_scale, in_shift, y);
  expect_close(y.values(), expected,
               {2e-6, 2e-6, "a difference, a product and a sum of floats that may cancel"}, "y");
}

TEST_P(PreprocessTest, ConvertsScalesAndTransposesEveryType) {
  for (const Shape& shape : {Shape{2, 5, 4, 3}, Shape{1, 1, 1, 1}, Shape{3, 28, 28, 1}, Shape{7, 13},
                             Shape{2, 3, 700}, Shape{0, 4, 4, 2}})
    for (const bool channels_first : {false, true}) {
      SCOPED_TRACE(fmt::format("{}{}", to_string(shape), channels_first ? ", channels first" : ""));
      const auto count = static_cast<size_t>(shape.elements());
      std::vector<uint8_t> u8(count);
      std::vector<uint16_t> f16(count);
      std::vector<float> f32 = random_values(shape.elements(), 1, -3, 3);
      std::vector<double> f64(count);
      Doubles f16_values;
      for (size_t i = 0; i < count; ++i) {
        u8[i] = static_cast<uint8_t>(i * 37);
        f16[i] = static_cast<uint16_t>((i * 641) % 0x4000 + (i % 2) * 0x8000);  // of size below 2
        f64[i] = double{f32[i]} / 3;
        f16_values.push_back(half_value(f16[i]));
      }
      Doubles raw(u8.begin(), u8.end());
      check(exec(), shape, channels_first, DType::f16, f16, f16_values);
      check(exec(), shape, channels_first, DType::f32, f32, to_double(f32));
      check(exec(), shape, channels_first, DType::f64, f64, f64);
      check(exec(), shape, channels_first, DType::u8, u8, raw);
    }
}

TEST_P(PreprocessTest, EveryHalfHasItsValue) {
  std::vector<uint16_t> bits;
  Doubles values;
  for (int i = 0; i < 0x10000; ++i) {
    bits.push_back(static_cast<uint16_t>(i));
    values.push_back(half_value(static_cast<uint16_t>(i)));
  }
  const Guarded<float> pivot(exec(), {1}, {0}), scale(exec(), {1}, {1}), shift(exec(), {1}, {0}),
      y(exec(), {0x10000, 1});
  std::vector<uint8_t> bytes(2 * bits.size());
  std::memcpy(bytes.data(), bits.data(), bytes.size());
  const Guarded<uint8_t> in(exec(), {0x20000}, bytes);
  preprocess(exec(), {}, ConstTensor(in.tensor().raw(), DType::f16, {0x10000}), pivot, scale, shift, y);
  expect_close(y.values(), values, kExact, "y");
}

TEST_P(PreprocessTest, UnitScalingMapsBytesOntoZeroToOne) {
  const Guarded<uint8_t> in(exec(), {3}, {0, 51, 255});
  const Guarded<float> pivot(exec(), {1}, {0}), scale(exec(), {1}, {1.f / 255}), shift(exec(), {1}, {0}),
      y(exec(), {3, 1});
  preprocess(exec(), {}, in, pivot, scale, shift, y);
  expect_close(y.values(), {0, 0.2, 1}, kRounding, "y");
}

TEST_P(PreprocessTest, NearTheirPivotNumbersKeepAllTheirDigits) {
  const std::vector<double> f64 = {1e9 + 0.123456789, 1e9 - 1.987654321, 1e9};
  const std::vector<float> f32 = {16777216 - 3, 16777216 - 1.0f, 16777216};
  const Guarded<double> doubles(exec(), {3}, f64);
  const Guarded<float> floats(exec(), {3}, f32), scale(exec(), {1}, {0.1f}), shift(exec(), {1}, {0}),
      y(exec(), {3, 1});
  const Guarded<float> large(exec(), {1}, {1e9f}), larger(exec(), {1}, {16777216});
  preprocess(exec(), {}, doubles, large, scale, shift, y);
  expect_close(y.values(), {0.0123456789, -0.1987654321, 0}, {1e-8, 2e-7, "1e9 is known to 1e-7"}, "y");
  preprocess(exec(), {}, floats, larger, scale, shift, y);
  expect_close(y.values(), {-0.3, -0.1, 0}, kRounding, "y");
}

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

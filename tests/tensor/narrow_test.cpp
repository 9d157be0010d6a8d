#include "src/tensor/narrow.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "tests/support/backend.h"
#ifdef LOCKSTEP_HAVE_CUDA
#include "src/device/cuda_context.h"
#endif

namespace lockstep {
namespace {

using test::BackendTest, test::Guarded, test::random_values;

/// The value of a number in two bytes by the definition of its format.
double value_of(DType type, uint16_t bits) {
  const int mantissa_bits = type == DType::bf16 ? 7 : 10;
  const int exponent_bits = 15 - mantissa_bits, bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = (bits & 0x7FFF) >> mantissa_bits, mantissa = bits & ((1 << mantissa_bits) - 1);
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1)
    return mantissa == 0 ? sign * std::numeric_limits<double>::infinity()
                         : std::numeric_limits<double>::quiet_NaN();
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * std::ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
}

/// The nearest number, found by halving among all; half way, the even one. Beyond the largest, infinity
/// stands where the next number would.
uint16_t nearest(DType type, float value) {
  const double magnitude = std::abs(double{value});
  const uint16_t infinity = type == DType::bf16 ? 0x7F80 : 0x7C00, sign = std::signbit(value) ? 0x8000 : 0;
  const auto at = [&](int bits) {
    return bits < infinity ? value_of(type, static_cast<uint16_t>(bits))
                           : 2 * value_of(type, static_cast<uint16_t>(infinity - 1)) -
                                 value_of(type, static_cast<uint16_t>(infinity - 2));
  };
  if (magnitude >= at(infinity)) return sign | infinity;
  int low = 0, high = infinity;
  while (high - low > 1) (at((low + high) / 2) <= magnitude ? low : high) = (low + high) / 2;
  const double below = magnitude - at(low), above = at(high) - magnitude;
  const bool up = above < below || (above == below && low % 2 == 1);
  return static_cast<uint16_t>(sign | (up ? high : low));
}

class Narrow : public BackendTest {
 protected:
  std::vector<uint16_t> narrow(DType type, const std::vector<float>& values) {
    const auto n = static_cast<int64_t>(values.size());
    const Guarded<float> source(exec(), {n}, values);
    const Guarded<int16_t> destination(exec(), {n});
    auto* const bits = reinterpret_cast<uint16_t*>(destination.span().data());
#ifdef LOCKSTEP_HAVE_CUDA
    if (exec().on_cuda())
      cuda::narrow(exec().cuda->compute_stream(), type, source.span().data(), bits, n);
    else
#endif
      cpu::narrow(type, source.span().data(), bits, n);
    const std::vector<int16_t> result = destination.values();
    return {result.begin(), result.end()};
  }

  /// Widened, or added to `onto`.
  std::vector<float> widen(DType type, const std::vector<uint16_t>& bits, const std::vector<float>* onto) {
    const auto n = static_cast<int64_t>(bits.size());
    const Guarded<int16_t> source(exec(), {n}, {bits.begin(), bits.end()});
    const Guarded<float> destination(exec(), {n});
    if (onto != nullptr) test::to_backend(exec(), destination.span(), *onto);
    const auto* const from = reinterpret_cast<const uint16_t*>(source.span().data());
    float* const to = destination.span().data();
#ifdef LOCKSTEP_HAVE_CUDA
    if (exec().on_cuda()) {
      const auto stream = exec().cuda->compute_stream();
      onto != nullptr ? cuda::add_narrow(stream, type, from, to, n) : cuda::widen(stream, type, from, to, n);
      return destination.values();
    }
#endif
    onto != nullptr ? cpu::add_narrow(type, from, to, n) : cpu::widen(type, from, to, n);
    return destination.values();
  }
};
INSTANTIATE_FOR_BACKENDS(Narrow);

std::vector<uint16_t> all_bits() {
  std::vector<uint16_t> bits(1 << 16);
  for (size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<uint16_t>(i);
  return bits;
}

TEST_P(Narrow, EveryNumberWidensToItsValue) {
  for (const DType type : {DType::bf16, DType::f16}) {
    const std::vector<float> values = widen(type, all_bits(), nullptr);
    for (size_t i = 0; i < values.size(); ++i) {
      const double expected = value_of(type, static_cast<uint16_t>(i));
      if (std::isnan(expected))
        ASSERT_TRUE(std::isnan(values[i])) << i;
      else
        ASSERT_EQ(std::bit_cast<uint32_t>(values[i]), std::bit_cast<uint32_t>(static_cast<float>(expected)))
            << i;
    }
  }
}

TEST_P(Narrow, EveryNumberSurvivesTheWayThereAndBack) {
  for (const DType type : {DType::bf16, DType::f16}) {
    const std::vector<uint16_t> bits = narrow(type, widen(type, all_bits(), nullptr));
    for (size_t i = 0; i < bits.size(); ++i) {
      if (std::isnan(value_of(type, static_cast<uint16_t>(i))))
        ASSERT_TRUE(std::isnan(value_of(type, bits[i]))) << i;
      else
        ASSERT_EQ(bits[i], i);
    }
  }
}

TEST_P(Narrow, RoundsToTheNearestAndTiesToEven) {
  for (const DType type : {DType::bf16, DType::f16}) {
    std::vector<float> values = random_values(3000, 5, -3, 3);
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = std::ldexp(values[i], static_cast<int>(i) % 280 - 150);  // subnormal and too large ones
    // Half way between neighbours, and just beside it.
    for (uint32_t bits = 0; bits < 0x7C00; bits += 97) {
      const auto half_way = static_cast<float>(
          (value_of(type, static_cast<uint16_t>(bits)) + value_of(type, static_cast<uint16_t>(bits + 1))) /
          2);
      for (const float value :
           {half_way, std::nextafter(half_way, 0.0f), std::nextafter(half_way, INFINITY)}) {
        values.push_back(value);
        values.push_back(-value);
      }
    }
    for (const float value : {65504.0f, 65519.99f, 65520.0f, 65536.0f, 3.3961775e38f, INFINITY, -INFINITY})
      values.push_back(value);
    const std::vector<uint16_t> bits = narrow(type, values);
    for (size_t i = 0; i < values.size(); ++i)
      ASSERT_EQ(bits[i], nearest(type, values[i])) << values[i] << (type == DType::bf16 ? " bf16" : " fp16");
  }
}

TEST_P(Narrow, AddsInFp32) {
  for (const DType type : {DType::bf16, DType::f16}) {
    for (const int64_t n : {0, 1, 63, 1001, 5000}) {
      const std::vector<float> onto = random_values(n, 1);
      const std::vector<uint16_t> bits = narrow(type, random_values(n, 2));
      const std::vector<float> sums = widen(type, bits, &onto);
      for (size_t i = 0; i < sums.size(); ++i)
        ASSERT_EQ(sums[i], onto[i] + static_cast<float>(value_of(type, bits[i])));
    }
  }
}

}  // namespace
}  // namespace lockstep

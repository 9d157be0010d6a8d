#include "src/ops/input/augment/noise.h"

#include <cmath>
#include <numbers>

#include "src/core/rng.h"
#include "src/device/with_cuda.h"
#include "src/ops/check.h"

namespace lockstep {

namespace cpu {
namespace {

float normal(uint32_t first, uint32_t second) {
  const double radius = std::sqrt(-2 * std::log((first + 1.0) * 0x1p-32));
  return static_cast<float>(radius * std::cos(2 * std::numbers::pi * (second * 0x1p-32)));
}

void add_noise(const NoiseKey& key, float deviation, int64_t elements, float* x) {
  for (int64_t e = 0; e < elements; e += 2) {
    const Random4 random = philox(key.key, key.sample, static_cast<uint64_t>(e / 2));
    x[e] += deviation * normal(random.word[0], random.word[1]);
    if (e + 1 < elements) x[e + 1] += deviation * normal(random.word[2], random.word[3]);
  }
}

}  // namespace
}  // namespace cpu

void add_noise(Exec exec, ConstTensor keys, ConstTensor deviations, Tensor x) {
  INVARIANT(x.shape().rank() > 0, "add_noise: x has no batch axis");
  const int64_t samples = x.shape()[0];
  expect(keys, DType::i64, {samples, kNoiseWords}, "add_noise: keys");
  expect(deviations, DType::f32, {samples}, "add_noise: deviations");
  expect(x, DType::f32, x.shape(), "add_noise: x");
  if (is_empty(x)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::add_noise(exec, keys, deviations, x);
  }
  const auto* const key_of = reinterpret_cast<const NoiseKey*>(keys.data<int64_t>());
  const int64_t elements = x.elements() / samples;
  for (int64_t n = 0; n < samples; ++n)
    if (const float deviation = deviations.data<float>()[n]; deviation != 0)
      cpu::add_noise(key_of[n], deviation, elements, x.data<float>() + n * elements);
}

}  // namespace lockstep

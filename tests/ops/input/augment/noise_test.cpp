#include "src/ops/input/augment/noise.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "src/core/rng.h"
#include "tests/support/backend.h"
#include "tests/support/harness/op_case.h"

namespace lockstep::test {
namespace {

/// The documented function of key, sample and element.
Doubles oracle_of(int64_t samples, int64_t elements, const Values& in) {
  Doubles x = in["x"];
  for (int64_t n = 0; n < samples; ++n)
    for (int64_t e = 0; e < elements; ++e) {
      const auto word = [&](int64_t i) {
        return static_cast<uint64_t>(static_cast<int64_t>(in["keys"][static_cast<size_t>(2 * n + i)]));
      };
      const Random4 random = philox(word(0), word(1), static_cast<uint64_t>(e / 2));
      const double u = (random.word[2 * (e % 2)] + 1.0) * 0x1p-32, v = random.word[2 * (e % 2) + 1] * 0x1p-32;
      x[static_cast<size_t>(n * elements + e)] += in["deviations"][static_cast<size_t>(n)] *
                                                  std::sqrt(-2 * std::log(u)) *
                                                  std::cos(2 * std::numbers::pi * v);
    }
  return x;
}

OpCase noise_case(int64_t samples, int64_t elements) {
  Doubles keys, deviations;
  for (int64_t n = 0; n < samples; ++n) {
    keys.insert(keys.end(), {static_cast<double>(n * n + 3), n == 1 ? 0x1p40 : static_cast<double>(n)});
    deviations.push_back(n % 3 == 2 ? 0 : 0.5 + 0.25 * static_cast<double>(n % 4));
  }
  OpCase op;
  op.input("keys", {samples, kNoiseWords}, exactly(keys), DType::i64);
  op.input("deviations", {samples}, exactly(deviations));
  op.state("x", {samples, elements}, {}, {4e-6, 4e-6, "logarithms and cosines of floats"});
  op.pointers = {"x"};
  op.runs([](const OpCall& c) { add_noise(c.exec, c["keys"], c["deviations"], c["x"]); });
  op.oracle = [=](const Values& in) { return Values{{"x", oracle_of(samples, elements, in)}}; };
  return op;
}

const RegisterOp kNoise("add_noise", [](Op& op) {
  for (const int64_t elements : {1, 2, 7, 300})
    op.add(fmt::format("{} elements", elements), 4,
           [=](int64_t samples) { return noise_case(samples, elements); });
  op.time("images", 64, [](int64_t samples) { return noise_case(samples, 32 * 32 * 3); });
});

class NoiseTest : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(NoiseTest);

TEST_P(NoiseTest, HasTheMomentsOfANormalDistribution) {
  constexpr int64_t kCount = 20000;
  const Guarded<int64_t> keys(exec(), {1, 2}, {5, 9});
  const Guarded<float> deviations(exec(), {1}, {2}), x(exec(), {1, kCount}, std::vector<float>(kCount, 1.f));
  add_noise(exec(), keys, deviations, x);
  double sum = 0, squares = 0, fourth = 0;
  for (const float value : x.values()) {
    const double z = (double{value} - 1) / 2;
    sum += z;
    squares += z * z;
    fourth += z * z * z * z;
  }
  // Five standard deviations of each mean.
  EXPECT_NEAR(sum / kCount, 0, 5 / std::sqrt(kCount));
  EXPECT_NEAR(squares / kCount, 1, 5 * std::sqrt(2.0 / kCount));
  EXPECT_NEAR(fourth / kCount, 3, 5 * std::sqrt(96.0 / kCount));
}

}  // namespace
}  // namespace lockstep::test

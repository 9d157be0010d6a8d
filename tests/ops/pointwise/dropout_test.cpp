#include "src/ops/pointwise/dropout.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "tests/support/backend.h"
#include "tests/support/harness/op_case.h"

namespace lockstep::test {
namespace {

/// The documented function of seed, layer, step, sample and element.
Doubles oracle(const DropoutSpec& spec, uint64_t step, const Doubles& samples, const Doubles& x) {
  Doubles y;
  const size_t width = samples.empty() ? 1 : x.size() / samples.size();
  for (size_t i = 0; i < x.size(); ++i) {
    const uint64_t sample = static_cast<uint64_t>(samples[i / width]), e = i % width;
    const Random4 words = philox(spec.seed ^ spec.layer, sample, (step << 32) + e / 4);
    y.push_back(uniform(words.word[e % 4]) < spec.rate ? 0 : x[i] / (1 - double{spec.rate}));
  }
  return y;
}

OpCase dropout_case(const DropoutSpec& spec, int64_t rows, int64_t width, bool adds = false) {
  Doubles samples = {0, 5, 0x1p40};
  samples.resize(static_cast<size_t>(rows), 77);
  OpCase op;
  op.input("samples", {rows}, exactly(samples), DType::i64);
  op.input("x", {rows, width}).output("y", {rows, width}, spec.rate == 0 ? kExact : kRounding);
  if (adds) op.input("added", {rows, width});
  op.output_gradient("y").gradient("x", kGradient, {.first = rows * width});
  op.info.step = 9;
  op.runs([=](const OpCall& c) { dropout(c.exec, c.info, spec, c["samples"], c["x"], c["y"], c["added"]); },
          [=](const OpCall& c) { dropout(c.exec, c.info, spec, c["samples"], c["dy"], c["dx"]); });
  op.oracle = [=](const Values& in) {
    Doubles y = oracle(spec, 9, in["samples"], in["x"]);
    for (size_t i = 0; adds && i < y.size(); ++i) y[i] += in["added"][i];
    return Values{{"y", y}};
  };
  op.may_alias = {{"y", "x"}, {"dx", "dy"}};
  if (adds) op.may_alias.emplace_back("y", "added");
  op.activations = {"x", "y", "added"};
  op.any_address = true;
  return op;
}

const RegisterOp kDropout("dropout", [](Op& op) {
  for (const bool adds : {false, true})
    for (const float rate : {0.3f, 0.f})
      for (const int64_t width : {1, 3, 4, 65, 120, 130}) {
        const DropoutSpec spec{.rate = rate, .seed = 0x123456789abcdefull, .layer = 0xfedcba9876543210ull};
        op.add(fmt::format("rate {}, {} wide{}", rate, width, adds ? ", a sum" : ""), 3,
               [=](int64_t rows) { return dropout_case(spec, rows, width, adds); });
      }
  op.time("dropout", 64, [](int64_t rows) { return dropout_case({}, rows, 1600); });
});

class DropoutTest : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(DropoutTest);

std::vector<float> run_dropout(Exec exec, const DropoutSpec& spec, int64_t step,
                               const std::vector<int64_t>& samples, int64_t width) {
  const auto rows = static_cast<int64_t>(samples.size());
  const OnBackend<MicroBatchInfo> info(exec,
                                       {.step = step, .valid = static_cast<int32_t>(rows), .weight = 1});
  const Guarded<int64_t> index(exec, {rows}, samples);
  const Guarded<float> y(exec, {rows, width}),
      ones(exec, {rows, width}, std::vector<float>(static_cast<size_t>(rows * width), 1.f));
  dropout(exec, info.get(), spec, index, ones, y);
  return y.values();
}

TEST_P(DropoutTest, ZeroesTheAskedForShareAndKeepsTheMean) {
  for (const float rate : {0.1f, 0.5f, 0.9f}) {
    constexpr size_t kCount = 40000;
    const auto y = run_dropout(exec(), {.rate = rate, .seed = 1, .layer = 2}, 0, {7}, kCount);
    const auto zeros = static_cast<double>(std::count(y.begin(), y.end(), 0.f));
    const double deviation = std::sqrt(kCount * rate * (1 - rate));
    EXPECT_NEAR(zeros, kCount * rate, 5 * deviation);
    double sum = 0;
    for (const float value : y) sum += value;
    EXPECT_NEAR(sum / kCount, 1, 5 * deviation / kCount / (1 - rate));
  }
}

TEST_P(DropoutTest, ASampleHasTheSameMaskAtAnyRowOfAnyBatch) {
  const DropoutSpec spec{.seed = 3, .layer = 4};
  const auto alone = run_dropout(exec(), spec, 11, {42}, 33);
  const auto last = run_dropout(exec(), spec, 11, {8, 9, 42}, 33);
  EXPECT_TRUE(std::equal(alone.begin(), alone.end(), last.begin() + 66));
}

TEST_P(DropoutTest, SeedLayerStepAndSampleEachChangeTheMask) {
  const auto mask = [&](uint64_t seed, uint64_t layer, int64_t step, int64_t sample) {
    return run_dropout(exec(), {.seed = seed, .layer = layer}, step, {sample}, 64);
  };
  const std::set<std::vector<float>> masks = {mask(1, 0, 0, 0), mask(0, 2, 0, 0), mask(0, 0, 1, 0),
                                              mask(0, 0, 0, 1), mask(0, 0, 0, 0)};
  EXPECT_EQ(masks.size(), 5u);
}

TEST_P(DropoutTest, RefusesARateOfOne) { EXPECT_THROW(run_dropout(exec(), {.rate = 1}, 0, {1}, 1), Error); }

}  // namespace
}  // namespace lockstep::test

#include "src/ops/attention/attention.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tests/ops/attention/attention_cases.h"
#include "tests/support/backend.h"
#include "tests/support/harness/op_case.h"
#include "tests/support/harness/values.h"

namespace lockstep::test {
namespace {

const RegisterOp kAttention("attention", [](Op& op) {
  const auto add = [&](const AttentionCase& o) {
    op.add(name_of(o), 2, [o](int64_t samples) { return attention_case(o, samples); });
  };
  for (const bool causal : {false, true})
    for (const bool masked : {false, true}) {
      add({2, 3, 5, causal, masked});
      add({2, 2, 6, causal, masked, 0.3f});
    }
  add({1, 1, 67});  // several tiles and blocks
  add({1, 1, 67, true, true});
  // Each size of tile.
  add({1, 32, 3});
  add({1, 40, 4, true});
  add({1, 100, 3, true, true});
  add({1, 130, 2});
  add({3, 1, 1});
  op.add("large scores",
         attention_forward_case({.heads = 2, .width = 16, .positions = 9}, 2, between(-30, 30),
                                {5e-3, 1e-5, "scores of up to 3600 are rounded before exp"}));
  op.time("GPT", 2, [](int64_t samples) { return attention_case({4, 64, 128, true}, samples); });
});

class AttentionTest : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(AttentionTest);

/// The outputs of one head of width 1, for queries, keys and values of three positions.
std::vector<float> run_attention(Exec exec, const AttentionSpec& spec, const std::vector<float>& qkv) {
  const auto positions = static_cast<int64_t>(qkv.size()) / 3;
  const Shape shape{1, positions, 3};
  const Guarded<float> in(exec, shape, qkv), y(exec, {1, positions, 1}), log_sums(exec, {1, 1, positions});
  const auto bytes = static_cast<int64_t>(attention_workspace_bytes(exec, spec, shape, DType::f32));
  const Guarded<uint8_t> workspace(exec, {bytes});
  attention_forward(exec, spec, {in, {}}, y, log_sums, workspace);
  return y.values();
}

TEST_P(AttentionTest, EqualScoresGiveTheMeanOfTheValues) {
  const std::vector<float> qkv = {0, 1, 3, 0, 2, 6, 0, 3, 0};  // all queries are 0
  EXPECT_THAT(run_attention(exec(), {}, qkv), testing::Each(testing::FloatEq(3)));
  EXPECT_THAT(run_attention(exec(), {.causal = true}, qkv),
              testing::ElementsAre(3, testing::FloatEq(4.5f), testing::FloatEq(3)));
}

/// Outputs and gradients of two samples.
std::vector<std::vector<float>> run_both(Exec exec, const AttentionCase& o) {
  const int64_t samples = 2, size = samples * o.positions * o.channels();
  const Shape narrow{samples, o.positions, o.channels()}, wide = o.qkv(samples);
  const Doubles mask_values = attention_mask(samples, o.positions);
  const Guarded<float> qkv(exec, wide, random_values(3 * size, 1)),
      mask(exec, {samples, o.positions}, std::vector<float>(mask_values.begin(), mask_values.end())),
      dy(exec, narrow, random_values(size, 2)), y(exec, narrow), dqkv(exec, wide),
      log_sums(exec, {samples, o.heads, o.positions});
  const Guarded<uint8_t> workspace(
      exec, {static_cast<int64_t>(attention_workspace_bytes(exec, o.spec(), wide, DType::f32))});
  const AttentionInputs inputs{qkv, o.masked ? ConstTensor(mask) : ConstTensor{}};
  attention_forward(exec, o.spec(), inputs, y, log_sums, workspace);
  attention_backward(exec, o.spec(), inputs, y, log_sums, dy, dqkv, workspace);
  return {y.values(), dqkv.values()};
}

TEST_P(AttentionTest, WideHeadsOfSeveralTilesAreAsOnTheCpu) {
  for (const AttentionCase& o : {AttentionCase{2, 33, 35, true},
                                 {1, 64, 66, false, true},
                                 {1, 100, 18, true, true},
                                 {1, 130, 17, true},
                                 {1, 256, 9, false, true}}) {
    const auto actual = run_both(exec(), o), expected = run_both({}, o);
    for (size_t i = 0; i < actual.size(); ++i)
      expect_close(actual[i], to_double(expected[i]), kNormalized, i == 0 ? "y" : "dqkv");
  }
}

/// The tiles of two-byte types are of 16 to 128 positions, and of 32, 64 or 128 columns.
TEST_P(AttentionTest, TilesInTwoBytesAreRightAndGiveTheSameBitsEveryTime) {
  const AttentionCase options[] = {{2, 8, 1},
                                   {1, 6, 66, true},  // rows that are no vectors of 16 bytes
                                   {3, 16, 15, true, false, 0.3f},
                                   {1, 40, 16, false, true},
                                   {1, 16, 130, true, true},
                                   {1, 64, 63, true, false, 0.3f},
                                   {2, 64, 64, true},
                                   {1, 64, 65},
                                   {1, 64, 130, true},
                                   {1, 8, 130, false, true, 0.3f},
                                   {1, 100, 34, true},
                                   {1, 128, 66, true, true, 0.3f},
                                   {1, 128, 64}};
  for (const DType type : {DType::bf16, DType::f16})
    for (const AttentionCase& o : options) {
      if (type == DType::f16 && !exec().on_cuda()) continue;
      expect_right_twice(exec(), o, type);
    }
}

TEST_P(AttentionTest, PassesNanOn) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> y = run_attention(exec(), {.causal = true}, {1, 1, 3, 1, kNan, 6, 1, 1, 0});
  EXPECT_EQ(y[0], 3) << "reads only itself";
  EXPECT_TRUE(std::isnan(y[1]));
  EXPECT_TRUE(std::isnan(y[2]));
}

TEST_P(AttentionTest, RefusesADropoutOfOne) {
  EXPECT_THROW(run_attention(exec(), {.dropout = {.rate = 1}}, {1, 1, 1}), Error);
}

}  // namespace
}  // namespace lockstep::test

// Attention on engines of cuDNN, as run.autotune may choose them: real ones where there is a GPU, or emulated
// ones.
#ifdef LOCKSTEP_HAVE_CUDA

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "src/device/cuda_context.h"
#include "src/device/devices.h"
#include "tests/ops/attention/attention_cases.h"
#include "tests/support/backend.h"

namespace lockstep::test {
namespace {

class AttentionEnginesTest : public testing::Test {
 protected:
  void SetUp() override {
    if (find_devices().gpus.empty()) GTEST_SKIP() << "no GPU";
    context.emplace(0);
  }

  /// From here on, the engine at this place is chosen, or the last before it; ours is at place 0.
  void choose(size_t place) {
    context->plans().choose_by(
        [=](const EngineChoice& choice) { return std::min(place, choice.engines - 1); });
  }
  AttentionEngines engines(const AttentionCase& o, DType type = DType::bf16) {
    return choose_attention_engines({&*context}, o.spec(), o.qkv(2), type, o.masked);
  }

  std::optional<CudaContext> context;
};

TEST_F(AttentionEnginesTest, ComputeTheSameAndGiveTheSameBitsEveryTime) {
  // Each of the two engines, with tiles that are full and not.
  struct Case {
    size_t place;
    DType type;
    AttentionCase attention;
  };
  const Case cases[] = {{1, DType::bf16, {2, 8, 1}},        {2, DType::f16, {3, 16, 15, true}},
                        {1, DType::f16, {1, 40, 34}},       {2, DType::bf16, {1, 64, 64, true}},
                        {1, DType::f16, {1, 64, 65, true}}, {2, DType::bf16, {1, 128, 66}}};
  for (const auto& [place, type, o] : cases) {
    choose(place);
    const auto [forward, backward] = engines(o, type);
    if (forward == nullptr && backward == nullptr) GTEST_SKIP() << "cuDNN has no engine for this GPU";
    EXPECT_NE(forward, nullptr);
    expect_right_twice({&*context}, o, type);
  }
}

TEST_F(AttentionEnginesTest, OursStaysWithoutAChoiceAndWhereItIsTheChoice) {
  const AttentionCase o{1, 16, 5};
  EXPECT_EQ(engines(o).forward, nullptr) << "nobody chooses";
  choose(0);
  EXPECT_EQ(engines(o).forward, nullptr);
  EXPECT_EQ(engines(o).backward, nullptr);
  choose(1);
  EXPECT_EQ(engines(o).forward, nullptr) << "the choice is remembered";
}

TEST_F(AttentionEnginesTest, OursComputesWhatCudnnDoesNotKnow) {
  choose(1);
  const auto has_engine = [&](const AttentionCase& o, DType type = DType::bf16) {
    const auto [forward, backward] = engines(o, type);
    return forward != nullptr || backward != nullptr;
  };
  if (!has_engine({1, 16, 5})) GTEST_SKIP() << "cuDNN has no engine for this GPU";
  EXPECT_FALSE(has_engine({1, 16, 5, true, true})) << "a mask";
  EXPECT_FALSE(has_engine({1, 16, 5, true, false, 0.1f})) << "dropout";
  EXPECT_FALSE(has_engine({1, 12, 5})) << "rows that are no vectors of 16 bytes";
  EXPECT_FALSE(has_engine({1, 136, 5})) << "wide heads";
  EXPECT_FALSE(has_engine({1, 16, 5}, DType::f32));
  // A plan is for one shape.
  AttentionSpec spec = AttentionCase{1, 16, 5}.spec();
  spec.engines = engines({1, 16, 5});
  const Guarded<uint8_t> memory({&*context}, {1 << 16});
  const auto tensor = [&](DType type, const Shape& shape) {
    return Tensor(Tensor(memory).raw(), type, shape);
  };
  EXPECT_THROW(attention_forward({&*context}, spec, {tensor(DType::bf16, {2, 6, 48}), {}},
                                 tensor(DType::bf16, {2, 6, 16}), tensor(DType::f32, {2, 1, 6}), memory),
               Error);
}

TEST_F(AttentionEnginesTest, BackwardIsLeftToGpusOnWhichItIsKnownToBeReproducible) {
  CudnnAttention attention{.positions = 130, .width = 64};
  EXPECT_TRUE(may_be_planned(attention, 8, 0));
  EXPECT_TRUE(may_be_planned(attention, 12, 0));
  attention.direction = CudnnAttention::Direction::backward;
  EXPECT_TRUE(may_be_planned(attention, 9, 0));
  EXPECT_FALSE(may_be_planned(attention, 8, 0));
  EXPECT_FALSE(may_be_planned(attention, 10, 0));
  EXPECT_FALSE(may_be_planned(attention, 12, 0));
}

}  // namespace
}  // namespace lockstep::test

#endif

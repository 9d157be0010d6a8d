// With the emulated cuDNN, whose first engines must not be chosen and compute another value if they are.
#include "src/device/libraries/cudnn_plan.h"

#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <vector>

#include "src/device/cuda_context.h"
#include "src/device/devices.h"
#include "tests/support/backend.h"
#include "tests/support/emulator/cudnn_backend.h"

namespace lockstep {
namespace {

using Direction = CudnnConvolution::Direction;

class CudnnPlanTest : public testing::Test {
 protected:
  void SetUp() override {
    if (find_devices().gpus.empty()) GTEST_SKIP() << "LOCKSTEP_EMULATED_GPUS is not set";
    context.emplace(0);
    memory = Buffer(exec(), Memory::device, 4 * kBytes);
  }
  void TearDown() override { emulator::cudnn::offer_engines(true); }

  Exec exec() { return {&*context}; }
  const CudnnPlan* find(const CudnnConvolution& convolution) {
    return context->plans().find(context->cudnn(), convolution);
  }
  /// The product of two numbers, in this direction of a 1 x 1 convolution.
  float product(CudnnConvolution convolution, float left, float right) {
    const CudnnPlan* const plan = find(convolution);
    if (plan == nullptr) return NAN;
    const auto result = static_cast<size_t>(convolution.direction == Direction::forward         ? 2
                                            : convolution.direction == Direction::data_gradient ? 0
                                                                                                : 1);
    copy(exec(), at(result == 0 ? 1 : 0), &left, sizeof left);
    copy(exec(), at(result == 2 ? 1 : 2), &right, sizeof right);
    plan->run(context->cudnn(),
              {{CudnnConvolution::kData, at(0)},
               {CudnnConvolution::kFilters, at(1)},
               {CudnnConvolution::kResult, at(2)}},
              at(3));
    float value = 0;
    copy(exec(), &value, at(result), sizeof value);
    synchronize(exec());
    return value;
  }
  std::byte* at(size_t tensor) { return memory.as<std::byte>().data() + tensor * kBytes; }

  static constexpr size_t kBytes = 4096;
  const CudnnConvolution one{.data = {1, 1, 1, 1},
                             .filters = {1, 1, 1, 1},
                             .result = {1, 1, 1, 1},
                             .pad_before = {0, 0},
                             .pad_after = {0, 0},
                             .stride = {1, 1},
                             .dilation = {1, 1}};
  /// 1 as TF32.
  static constexpr float kJustAboveOne = 1 + 0x1p-12f;
  std::optional<CudaContext> context;
  Buffer memory;
};

TEST_F(CudnnPlanTest, FloatIsMultipliedAsSuchByTheFirstEngineThatMayBeChosen) {
  CudnnConvolution convolution = one;
  for (const Direction direction :
       {Direction::forward, Direction::data_gradient, Direction::filter_gradient}) {
    convolution.direction = direction;
    EXPECT_EQ(product(convolution, kJustAboveOne, 3), 3 * kJustAboveOne);
    ASSERT_NE(find(convolution), nullptr);
    EXPECT_EQ(find(convolution)->workspace_bytes(), 0u);
  }
}

TEST_F(CudnnPlanTest, TensorCoresAreUsedWhereTf32IsAllowed) {
  CudnnConvolution convolution = one;
  convolution.tf32 = true;
  EXPECT_EQ(product(convolution, kJustAboveOne, 3), 3);
  ASSERT_NE(find(convolution), nullptr);
  EXPECT_GT(find(convolution)->workspace_bytes(), 0u);
  EXPECT_LE(find(convolution)->workspace_bytes(), kCudnnWorkspaceLimit);
}

TEST_F(CudnnPlanTest, EqualConvolutionsShareAPlan) {
  const CudnnPlan* const plan = find(one);
  ASSERT_NE(plan, nullptr);
  CudnnConvolution other = one;
  EXPECT_EQ(find(other), plan);
  other.direction = Direction::data_gradient;
  EXPECT_NE(find(other), plan);
  other = one;
  other.data = other.result = {2, 1, 1, 1};
  EXPECT_NE(find(other), plan);
  EXPECT_EQ(find(one), plan);
}

TEST_F(CudnnPlanTest, NoEngineIsNoPlan) {
  CudnnConvolution convolution = one;
  convolution.type = CUDNN_DATA_DOUBLE;
  EXPECT_EQ(find(convolution), nullptr);
  emulator::cudnn::offer_engines(false);
  EXPECT_EQ(find(one), nullptr);
  emulator::cudnn::offer_engines(true);
  EXPECT_EQ(find(one), nullptr) << "the answer is remembered";
}

TEST_F(CudnnPlanTest, ShapesThatDoNotFitAreABug) {
  CudnnConvolution convolution = one;
  convolution.result = {1, 1, 2, 1};
  EXPECT_THROW(find(convolution), Error);
}

}  // namespace
}  // namespace lockstep

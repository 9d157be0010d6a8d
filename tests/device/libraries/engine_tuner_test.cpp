// With the emulated cuDNN, whose engines take other times than its heuristics say.
#include "src/device/libraries/engine_tuner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>

#include "src/core/error.h"
#include "src/device/buffer.h"
#include "src/device/cuda_context.h"
#include "src/device/devices.h"
#include "tests/support/emulator/cudnn_backend.h"
#include "tests/support/emulator/stream.h"

namespace lockstep {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

/// The place of an engine in the emulator's table, and the workspaces by which they are told apart.
constexpr size_t kFastest = 8;
constexpr size_t kFirstForAttention = 2;
constexpr size_t kFirstWorkspace = 0, kFastestWorkspace = 8192, kTensorCoreWorkspace = 4096;

class EngineTunerTest : public testing::Test {
 protected:
  void SetUp() override {
    if (find_devices().gpus.empty()) GTEST_SKIP() << "LOCKSTEP_EMULATED_GPUS is not set";
    context.emplace(0);
  }
  void TearDown() override {
    emulator::cudnn::set_milliseconds(kFastest, 10);
    emulator::cudnn::set_milliseconds_of_programs(kFirstForAttention, 30);
  }

  Exec exec() { return {&*context}; }
  static EngineTuner::Ranks alone() {
    return {.measures = true, .broadcast = [](const std::string& text) { return text; }};
  }
  /// A rank that does not measure, where rank 0 says so.
  static EngineTuner::Ranks after(const std::string& rank_0) {
    return {.measures = false, .broadcast = [=](const std::string&) { return rank_0; }};
  }
  size_t workspace(const CudnnConvolution& convolution) {
    const CudnnPlan* const plan = context->plans().find(context->cudnn(), convolution);
    return plan == nullptr ? 1 : plan->workspace_bytes();
  }
  static CudnnConvolution of_samples(int64_t samples) {
    return {.data = {samples, 2, 4, 4},
            .filters = {3, 2, 3, 3},
            .result = {samples, 3, 4, 4},
            .pad_before = {1, 1},
            .pad_after = {1, 1},
            .stride = {1, 1},
            .dilation = {1, 1}};
  }

  /// What attention runs on, if our kernels take so long: "ours", or the workspace of cuDNN's engine.
  std::string attention(CudnnAttention::Direction direction, int64_t samples, int our_milliseconds) {
    const auto run = [=, this](const CudnnPlans::AttentionKernels::Memory&) {
      emulator::enqueue(context->compute_stream(), [=] {
        emulator::go_on_at(emulator::current_moment() + std::chrono::milliseconds(our_milliseconds));
      });
    };
    const CudnnAttention problem{
        .direction = direction, .samples = samples, .positions = 2, .heads = 1, .width = 8};
    const CudnnAttentionPlan* const plan = context->plans().find(context->cudnn(), problem, {64, run});
    return plan == nullptr ? "ours" : std::to_string(plan->workspace_bytes());
  }

  std::optional<CudaContext> context;
};

TEST_F(EngineTunerTest, TakesTheFastestEngineThatMayBeChosenAndRuns) {
  EXPECT_EQ(workspace(of_samples(1)), kFirstWorkspace) << "without a tuner";
  EngineTuner tuner(exec(), "", alone());
  CudnnConvolution convolution = of_samples(2);
  using enum CudnnConvolution::Direction;
  for (const auto direction : {forward, data_gradient, filter_gradient}) {
    convolution.direction = direction;
    EXPECT_EQ(workspace(convolution), kFastestWorkspace);
  }
  convolution.tf32 = true;
  EXPECT_EQ(workspace(convolution), kFastestWorkspace);
  EXPECT_THAT(tuner.describe(), StartsWith("timed 13 engines for 4 operations in "));
  EXPECT_THAT(tuner.describe(), HasSubstr("4 changed to a faster one"));
  EXPECT_EQ(workspace(of_samples(1)), kFirstWorkspace) << "the plan that there was";
  tuner.stop();
  EXPECT_EQ(workspace(of_samples(3)), kFirstWorkspace);
}

TEST_F(EngineTunerTest, KeepsTheFirstIfItIsTheFastest) {
  emulator::cudnn::set_milliseconds(kFastest, 40);
  EngineTuner tuner(exec(), "", alone());
  EXPECT_EQ(workspace(of_samples(2)), kFirstWorkspace);
  CudnnConvolution tf32 = of_samples(2);
  tf32.tf32 = true;
  EXPECT_EQ(workspace(tf32), kTensorCoreWorkspace);
  EXPECT_THAT(tuner.describe(), HasSubstr("0 changed to a faster one"));
}

TEST_F(EngineTunerTest, EveryRankTakesTheChoiceOfRank0) {
  std::string sent;
  EngineTuner first(exec(), "",
                    {.measures = true, .broadcast = [&](const std::string& text) { return sent = text; }});
  EXPECT_EQ(workspace(of_samples(2)), kFastestWorkspace);
  // Another rank, on which the first engine would be the fastest.
  emulator::cudnn::set_milliseconds(kFastest, 90);
  context.emplace(0);
  EngineTuner second(exec(), "", after(sent));
  EXPECT_EQ(workspace(of_samples(2)), kFastestWorkspace);
  EXPECT_EQ(second.text(), first.text());
  EXPECT_THROW(workspace(of_samples(3)), Error) << "rank 0 answers for another operation";
}

TEST_F(EngineTunerTest, ARunThatResumesKeepsItsEngines) {
  std::string text;
  {
    EngineTuner tuner(exec(), "", alone());
    workspace(of_samples(2));
    text = tuner.text();
  }
  emulator::cudnn::set_milliseconds(kFastest, 90);
  context.emplace(0);
  std::optional<EngineTuner> tuner(std::in_place, exec(), text, alone());
  EXPECT_EQ(workspace(of_samples(2)), kFastestWorkspace);
  EXPECT_EQ(tuner->text(), text);
  EXPECT_EQ(tuner->describe(), "took the engines of 1 operation from the run that is resumed");

  context.emplace(0);
  tuner.emplace(exec(), "another GPU\n" + text.substr(text.find('\n') + 1), alone());
  EXPECT_EQ(workspace(of_samples(2)), kFirstWorkspace);
  EXPECT_THAT(tuner->describe(), StartsWith("the run that is resumed chose for another GPU; timed 3"));
  tuner.reset();
}

TEST_F(EngineTunerTest, AttentionRunsOnTheFastestOfOurKernelsAndCudnnsEngines) {
  constexpr auto kForward = CudnnAttention::Direction::forward,
                 kBackward = CudnnAttention::Direction::backward;
  EXPECT_EQ(attention(kForward, 1, 1000), "ours") << "without a tuner";
  std::string text;
  {
    EngineTuner tuner(exec(), "", alone());
    EXPECT_EQ(attention(kForward, 1, 10), "ours");
    EXPECT_EQ(attention(kForward, 2, 25), "8192");
    EXPECT_EQ(attention(kBackward, 2, 25), "8448") << "and a float for each row";
    emulator::cudnn::set_milliseconds_of_programs(kFirstForAttention, 1);
    EXPECT_EQ(attention(kForward, 3, 25), "0");
    EXPECT_THAT(tuner.describe(), StartsWith("timed 12 engines for 4 operations in "));
    EXPECT_THAT(tuner.describe(), HasSubstr("3 changed to a faster one"));
    text = tuner.text();
  }
  EXPECT_EQ(attention(kForward, 4, 1000), "ours") << "without a tuner";

  context.emplace(0);
  EngineTuner tuner(exec(), text, alone());
  EXPECT_EQ(attention(kForward, 1, 1000), "ours");
  EXPECT_EQ(attention(kForward, 2, 1), "8192");
  EXPECT_EQ(attention(kBackward, 2, 1), "8448");
  EXPECT_EQ(tuner.describe(), "took the engines of 3 operations from the run that is resumed");
}

TEST_F(EngineTunerTest, ARankThatLacksTheEngineOfRank0SaysSo) {
  constexpr const char* kPlaceOfNone = "99";
  EngineTuner tuner(exec(), "", {.measures = false, .broadcast = [=](const std::string& text) {
                                   return kPlaceOfNone + text.substr(text.find(' '));
                                 }});
  try {
    workspace(of_samples(2));
    ADD_FAILURE() << "takes another engine than rank 0";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    EXPECT_THAT(error.what(), HasSubstr("run.autotune = false"));
  }
}

TEST_F(EngineTunerTest, ComputesTheSameAsTheFirstEngine) {
  Buffer memory(exec(), Memory::device, 4 * 16384);
  const auto at = [&](size_t i) { return memory.as<std::byte>().data() + i * 16384; };
  std::vector<float> data(2 * 2 * 4 * 4), filters(3 * 2 * 3 * 3), results[2];
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<float>(i % 7) - 3;
  for (size_t i = 0; i < filters.size(); ++i) filters[i] = static_cast<float>(i % 5) - 2;
  copy(exec(), at(0), data.data(), data.size() * sizeof(float));
  copy(exec(), at(1), filters.data(), filters.size() * sizeof(float));
  CudnnPlans untuned;
  std::optional<EngineTuner> tuner(std::in_place, exec(), "", alone());
  for (CudnnPlans* const plans : {&untuned, &context->plans()}) {
    const CudnnPlan* const plan = plans->find(context->cudnn(), of_samples(2));
    ASSERT_NE(plan, nullptr);
    plan->run(context->cudnn(),
              {{CudnnConvolution::kData, at(0)},
               {CudnnConvolution::kFilters, at(1)},
               {CudnnConvolution::kResult, at(2)}},
              at(3));
    std::vector<float>& result = results[plans == &untuned ? 0 : 1];
    result.resize(2 * 3 * 4 * 4);
    copy(exec(), result.data(), at(2), result.size() * sizeof(float));
    synchronize(exec());
  }
  EXPECT_EQ(results[0], results[1]);
  EXPECT_NE(results[0], std::vector<float>(results[0].size()));
}

}  // namespace
}  // namespace lockstep

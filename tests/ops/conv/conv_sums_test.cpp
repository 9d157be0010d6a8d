// Convolutions that add up their result for a batch norm, with the emulated cuDNN.
#ifdef LOCKSTEP_EMULATED_CUDA

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "src/device/cuda_context.h"
#include "src/device/devices.h"
#include "src/device/libraries/engine_tuner.h"
#include "src/ops/conv/conv.h"
#include "tests/support/backend.h"
#include "tests/support/emulator/cudnn_backend.h"

namespace lockstep::test {
namespace {

/// The place of the fastest engine in the emulator's table, and its workspace.
constexpr size_t kFastestSumming = 3, kFastestSummingWorkspace = 16384;

class ConvSums : public testing::Test {
 protected:
  void SetUp() override {
    if (find_devices().gpus.empty()) GTEST_SKIP() << "LOCKSTEP_EMULATED_GPUS is not set";
    context.emplace(0);
    tuner.emplace(exec(), "", EngineTuner::Ranks{.measures = true, .broadcast = [](const std::string& text) {
                                                   return text;
                                                 }});
  }
  void TearDown() override { emulator::cudnn::set_milliseconds_of_epilogues(kFastestSumming, 4); }

  Exec exec() { return {&*context}; }

  struct Results {
    std::vector<float> y, sums;
    bool operator==(const Results&) const = default;
  };
  Results run(Conv& conv, const ConvSpec& spec) {
    const auto tensor = [&](const Shape& shape, uint64_t seed) {
      Buffer memory(exec(), Memory::device, static_cast<size_t>(shape.elements()) * size_of(spec.type));
      const Tensor filled(memory.data(), spec.type, shape);
      to_backend(exec(), filled, random_values(shape.elements(), seed, -1, 2));
      return std::pair(std::move(memory), filled);
    };
    const auto x = tensor(spec.input(), 1), w = tensor(spec.weights(), 2), y = tensor(spec.output(), 3);
    const Guarded<float> sums(exec(), {2, spec.features()});
    const Guarded<uint8_t> scratch = workspace(exec(), conv.workspace_bytes());
    conv.forward(x.second, w.second, {}, y.second, scratch, conv.gives_sums() ? sums.tensor() : Tensor{});
    return {from_backend(exec(), y.second), sums.values()};
  }

  std::optional<CudaContext> context;
  std::optional<EngineTuner> tuner;
};

ConvSpec summed(DType type, const ConvAxes& axes) {
  return {
      .samples = 2, .channels = 4, .filters = 12, .axes = axes, .bias = false, .sums = true, .type = type};
}

TEST_F(ConvSums, AreThoseOfTheResult) {
  for (const DType type : {DType::bf16, DType::f16})
    for (const ConvAxes& axes : {ConvAxes{{4}, {5}}, ConvAxes{{7, 3, 2, 1, 1}, {6, 3, 2, 0, 1}},
                                 ConvAxes{{9, 3}}, ConvAxes{{3, 2}, {4, 3, 1, 1, 1}, {3, 1, 2}}}) {
      const ConvSpec spec = summed(type, axes);
      Conv conv(exec(), spec);
      ASSERT_TRUE(conv.gives_sums()) << to_string(spec.data());
      EXPECT_GE(conv.workspace_bytes(), kFastestSummingWorkspace);
      const Results found = run(conv, spec);
      ConvSpec without = spec;
      without.sums = false;
      Conv plain(exec(), without);
      EXPECT_FALSE(plain.gives_sums());
      EXPECT_EQ(found.y, run(plain, without).y);
      const auto filters = static_cast<size_t>(spec.filters);
      std::vector<double> expected(2 * filters);
      for (size_t i = 0; i < found.y.size(); ++i) {
        expected[i % filters] += found.y[i];
        expected[filters + i % filters] += double{found.y[i]} * found.y[i];
      }
      EXPECT_THAT(found.sums, testing::Pointwise(testing::FloatNear(1e-4f), expected));
      EXPECT_EQ(run(conv, spec), found) << "the same bits each time";
    }
  EXPECT_THAT(tuner->describe(), testing::HasSubstr("timed "));
}

TEST_F(ConvSums, AreGivenOnlyWhereThatIsFaster) {
  const ConvSpec spec = summed(DType::bf16, {{4}, {5}});
  // Longer than the fastest convolution without sums, together with its other engine.
  emulator::cudnn::set_milliseconds_of_epilogues(kFastestSumming, 40);
  emulator::cudnn::set_milliseconds_of_epilogues(kFastestSumming - 1, 40);
  EXPECT_FALSE(Conv(exec(), spec).gives_sums());
  emulator::cudnn::set_milliseconds_of_epilogues(kFastestSumming - 1, 8);
  EXPECT_FALSE(Conv(exec(), spec).gives_sums()) << "equal convolutions share the choice";
  const ConvSpec other = summed(DType::bf16, {{4}, {6}});
  Conv conv(exec(), other);
  EXPECT_TRUE(conv.gives_sums());
  EXPECT_LT(conv.workspace_bytes(), kFastestSummingWorkspace) << "the other engine";
  EXPECT_THROW(conv.forward({}, {}, {}, {}, {}), Error);
}

TEST_F(ConvSums, AreNotGivenWhereCudnnHasNone) {
  EXPECT_FALSE(Conv(exec(), summed(DType::f32, {{4}, {5}})).gives_sums());
  ConvSpec spec = summed(DType::bf16, {{4}, {5}});
  spec.channels = 3;
  EXPECT_FALSE(Conv(exec(), spec).gives_sums());
  spec.channels = spec.filters = 8;
  spec.groups = 2;
  EXPECT_FALSE(Conv(exec(), spec).gives_sums());
  spec.groups = 8;
  EXPECT_FALSE(Conv(exec(), spec).gives_sums()) << "our own kernels";
  spec.groups = 1;
  tuner->stop();
  EXPECT_FALSE(Conv(exec(), spec).gives_sums()) << "nobody chooses";
  spec.bias = true;
  EXPECT_THROW(Conv(exec(), spec), Error);
}

}  // namespace
}  // namespace lockstep::test

#endif

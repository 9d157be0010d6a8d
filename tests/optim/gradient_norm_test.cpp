#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "src/device/with_cuda.h"
#include "src/optim/optimizer_kernels.h"
#include "tests/support/backend.h"
#include "tests/support/gradient_tree.h"

namespace lockstep {
namespace {

using test::BackendTest, test::Guarded, test::random_values;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Norm {
  float norm, clip_scale;
};

/// The sum of the squares of some blocks of a flat buffer, of all without a list.
ExactSum squares_of(Exec exec, const std::vector<float>& flat, const std::vector<int32_t>* list = nullptr) {
  const Guarded<float> gradients(exec, {static_cast<int64_t>(flat.size())}, flat);
  const std::vector<int32_t> none;
  const std::vector<int32_t>& listed = list == nullptr ? none : *list;
  const Guarded<int32_t> blocks(exec, {static_cast<int64_t>(listed.size())}, listed);
  const Guarded<uint64_t> sum(exec, {ExactSum::kWords}, std::vector<uint64_t>(ExactSum::kWords));
  OptimizerUpdate update;
  update.gradients = gradients.span().data();
  update.blocks = static_cast<int64_t>(flat.size()) / kFlatBlock;
  if (list != nullptr) {
    update.flat_block = blocks.span().data();
    update.blocks = static_cast<int64_t>(list->size());
  }
  auto* const result = reinterpret_cast<ExactSum*>(sum.span().data());
  const auto compute = [&] {
    if constexpr (kCuda) {
      if (exec.on_cuda()) return cuda::add_squares_of_gradients(exec, update, result);
    }
    cpu::add_squares_of_gradients(exec, update, result);
  };
  compute();
  ExactSum on_host;
  std::ranges::copy(sum.values(), on_host.words);
  return on_host;
}

/// From the sums of several ranks, which lie `stride` apart.
Norm norm_of(Exec exec, const std::vector<ExactSum>& of_ranks, double clip_norm, size_t stride = 1) {
  std::vector<uint64_t> words;
  for (const ExactSum& sum : of_ranks) {
    words.insert(words.end(), sum.words, sum.words + ExactSum::kWords);
    words.resize(words.size() + (stride - 1) * ExactSum::kWords, 12345);
  }
  const Guarded<uint64_t> sums(exec, {static_cast<int64_t>(words.size())}, words);
  const Guarded<float> norm(exec, {1}), scale(exec, {1});
  const SumsOfRanks squares{reinterpret_cast<const ExactSum*>(sums.span().data()),
                            static_cast<int>(of_ranks.size()), static_cast<int64_t>(stride)};
  const auto compute = [&](float* norm_or_null, float* scale_or_null) {
    if constexpr (kCuda) {
      if (exec.on_cuda()) return cuda::clip(exec, squares, clip_norm, norm_or_null, scale_or_null);
    }
    cpu::clip(exec, squares, clip_norm, norm_or_null, scale_or_null);
  };
  compute(norm.span().data(), nullptr);
  compute(nullptr, scale.span().data());
  return {norm.values()[0], scale.values()[0]};
}

Norm norm_of(Exec exec, const std::vector<float>& gradients, double clip_norm) {
  return norm_of(exec, {squares_of(exec, gradients)}, clip_norm);
}

double sum_in_double(const std::vector<float>& values) {
  double squares = 0;
  for (const float v : values) squares += static_cast<double>(v) * static_cast<double>(v);
  return squares;
}

class GradientNorm : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(GradientNorm);

TEST_P(GradientNorm, AgreesWithDoublesAndClips) {
  // A thread block of a kernel takes 16 blocks of floats at a time.
  for (const int64_t blocks : {0, 1, 2, 15, 16, 17, 79, 200}) {
    const std::vector<float> values = random_values(blocks * kFlatBlock, 5);
    const double expected = std::sqrt(sum_in_double(values));
    const Norm result = norm_of(exec(), values, 0.5);
    EXPECT_FLOAT_EQ(result.norm, static_cast<float>(expected)) << blocks;
    EXPECT_FLOAT_EQ(result.clip_scale, static_cast<float>(std::min(1.0, 0.5 / (expected + 1e-6)))) << blocks;
    EXPECT_EQ(norm_of(exec(), values, 0).clip_scale, 1.0f) << "a clip_norm of 0 is none";
    EXPECT_EQ(norm_of(exec(), values, 2 * expected + 1).clip_scale, 1.0f) << "only ever shorter";
  }
}

TEST_P(GradientNorm, HasTheBitsOfTheCpu) {
  const std::vector<float> values = made_up_gradient(3, 77 * kFlatBlock);
  EXPECT_EQ(squares_of(exec(), values).value(), squares_of({}, values).value());
}

TEST_P(GradientNorm, DoesNotDependOnTheOrderOfBlocksNorOnWhoHasThem) {
  const std::vector<float> values = made_up_gradient(4, 60 * kFlatBlock);
  const Norm whole = norm_of(exec(), values, 0.5);
  for (const int ranks : {1, 2, 3, 8}) {
    std::vector<ExactSum> sums;
    for (int rank = 0; rank < ranks; ++rank) {
      std::vector<int32_t> blocks;
      for (int32_t block = 59 - rank; block >= 0; block -= ranks) blocks.push_back(block);
      sums.push_back(squares_of(exec(), values, &blocks));
    }
    const Norm parts = norm_of(exec(), sums, 0.5, 3);
    EXPECT_EQ(parts.norm, whole.norm) << ranks;
    EXPECT_EQ(parts.clip_scale, whole.clip_scale) << ranks;
  }
}

TEST_P(GradientNorm, IsAsLargeAsGradientsMayBe) {
  // Their squares pass what a float can hold.
  constexpr size_t kSize = 47 * kFlatBlock;
  const float root = std::sqrt(static_cast<float>(kSize));
  EXPECT_FLOAT_EQ(norm_of(exec(), std::vector(kSize, 1e25f), 1).norm, 1e25f * root);
  EXPECT_FLOAT_EQ(norm_of(exec(), std::vector(kSize, 1e-30f), 1).norm, 1e-30f * root);
  EXPECT_FLOAT_EQ(norm_of(exec(), std::vector(kSize, 1e-44f), 1).norm, 1e-44f * root);
}

TEST_P(GradientNorm, OfNotANumberAndOfInfinity) {
  for (const size_t at : {0, 31, 2999}) {
    std::vector<float> gradients(47 * kFlatBlock, 0.5f);
    gradients[at] = kNaN;
    EXPECT_TRUE(std::isnan(norm_of(exec(), gradients, 1).norm)) << at;
    EXPECT_TRUE(std::isnan(norm_of(exec(), gradients, 1).clip_scale)) << at;
    gradients[at] = -kInfinity;
    EXPECT_EQ(norm_of(exec(), gradients, 1).norm, kInfinity) << at;
    EXPECT_EQ(norm_of(exec(), gradients, 1).clip_scale, 0.0f) << at;
  }
}

}  // namespace
}  // namespace lockstep

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "src/device/with_cuda.h"
#include "src/optim/optimizer_kernels.h"
#include "tests/optim/judged.h"
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

/// Exact sums in the backend's memory, of ranks whose sums lie `stride` apart.
class Sums {
 public:
  Sums(Exec exec, int ranks, size_t stride = 1) : Sums(exec, std::vector<ExactSum>(ranks), stride) {}
  Sums(Exec exec, const std::vector<ExactSum>& of_ranks, size_t stride = 1)
      : ranks_(static_cast<int>(of_ranks.size())),
        stride_(static_cast<int64_t>(stride)),
        words_(exec, {ranks_ * stride_ * ExactSum::kWords}) {
    std::vector<uint64_t> words;
    for (const ExactSum& sum : of_ranks) {
      words.insert(words.end(), sum.words, sum.words + ExactSum::kWords);
      words.resize(words.size() + (stride - 1) * ExactSum::kWords, kBetween);
    }
    words_.set(words);
  }

  SumsOfRanks get() const { return {reinterpret_cast<ExactSum*>(words_.span().data()), ranks_, 0, stride_}; }
  ExactSum first() const {
    ExactSum sum;
    std::ranges::copy_n(words_.values().begin(), ExactSum::kWords, sum.words);
    return sum;
  }
  /// Whether all are zero, and nothing between them has changed.
  bool are_zero() const {
    const std::vector<uint64_t> words = words_.values();
    for (size_t i = 0; i < words.size(); ++i) {
      const bool is_between = i / ExactSum::kWords % static_cast<size_t>(stride_) != 0;
      if (words[i] != (is_between ? kBetween : 0)) return false;
    }
    return true;
  }

 private:
  static constexpr uint64_t kBetween = 12345;
  int ranks_;
  int64_t stride_;
  Guarded<uint64_t> words_;
};

void add_squares(Exec exec, const OptimizerUpdate& update, const Sums& sums, const StepJudgement& step) {
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::add_squares_of_gradients(exec, update, sums.get(), step);
  }
  cpu::add_squares_of_gradients(exec, update, sums.get(), step);
}

void judge_sums(Exec exec, const OptimizerUpdate& update, const Sums& sums, const StepJudgement& step) {
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::judge_step(exec, update, sums.get(), step);
  }
  cpu::judge_step(exec, update, sums.get(), step);
}

/// The sum of the squares of some blocks of a flat buffer, of all without a list, on the first of two ranks.
ExactSum squares_of(Exec exec, const std::vector<float>& flat, const std::vector<int32_t>* list = nullptr) {
  const Guarded<float> gradients(exec, {static_cast<int64_t>(flat.size())}, flat);
  const std::vector<int32_t> none;
  const std::vector<int32_t>& listed = list == nullptr ? none : *list;
  const Guarded<int32_t> blocks(exec, {static_cast<int64_t>(listed.size())}, listed);
  OptimizerUpdate update;
  update.gradients = gradients.span().data();
  update.blocks = static_cast<int64_t>(flat.size()) / kFlatBlock;
  if (list != nullptr) {
    update.flat_block = blocks.span().data();
    update.blocks = static_cast<int64_t>(list->size());
  }
  const Sums sums(exec, 2);
  add_squares(exec, update, sums, {});
  return sums.first();
}

/// From the sums of several ranks.
Norm norm_of(Exec exec, const std::vector<ExactSum>& of_ranks, double clip_norm, size_t stride = 1) {
  const Sums sums(exec, of_ranks, stride);
  const Guarded<float> scale(exec, {1});
  const Judged judged(exec);
  OptimizerUpdate update;
  update.clip_norm = clip_norm;
  update.gradient_scale = scale.span().data();
  judge_sums(exec, update, sums, judged.step());
  EXPECT_TRUE(sums.are_zero());
  return {judged.verdict().gradient_norm, scale.values()[0]};
}

/// On one rank, which adds and judges at once; twice, because the sum must be zero again.
Norm norm_of(Exec exec, const std::vector<float>& flat, double clip_norm, float loss_scale = 0) {
  const Guarded<float> gradients(exec, {static_cast<int64_t>(flat.size())}, flat), scale(exec, {1});
  const Sums sums(exec, 1);
  OptimizerUpdate update;
  update.gradients = gradients.span().data();
  update.blocks = static_cast<int64_t>(flat.size()) / kFlatBlock;
  update.clip_norm = clip_norm;
  update.gradient_scale = scale.span().data();
  Norm results[2];
  for (Norm& result : results) {
    const Judged judged(exec, {.loss_scale = {.factor = loss_scale}});
    add_squares(exec, update, sums, judged.step());
    EXPECT_TRUE(sums.are_zero());
    result = {judged.verdict().gradient_norm, scale.values()[0]};
  }
  EXPECT_TRUE(same_bits({&results[0].norm, 1}, {&results[1].norm, 1}));
  return results[0];
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

TEST_P(GradientNorm, OfGradientsOfAScaledLossIsThatOfTheLoss) {
  const std::vector<float> values = made_up_gradient(5, 33 * kFlatBlock);
  std::vector<float> scaled = values;
  for (float& value : scaled) value *= 0x1p16f;
  for (const double clip_norm : {0.0, 0.5}) {
    const Norm plain = norm_of(exec(), values, clip_norm),
               result = norm_of(exec(), scaled, clip_norm, 0x1p16f);
    EXPECT_EQ(result.norm, plain.norm);
    EXPECT_EQ(result.clip_scale, plain.clip_scale * 0x1p-16f);
  }
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

#include "src/ops/norm/sync_batch_norm.h"

#include <gmock/gmock.h>

#include <memory>

#include "src/ops/norm/batch_norm.h"
#include "tests/support/backend.h"
#include "tests/support/oracles.h"

namespace lockstep::test {
namespace {

constexpr float kEpsilon = 1e-3f;
constexpr float kRunningVariance = 0.7f;

class SyncBatchNormTest : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(SyncBatchNormTest);

/// Several micro-batches of one shape whose sums are added here, and what batch norm makes of them. Padding
/// is NaN.
class Together {
 public:
  Together(Exec exec, const Shape& shape, const std::vector<int32_t>& valid, const std::vector<float>& scale,
           const std::vector<float>& shift)
      : exec_(exec),
        shape_(shape),
        channels_(shape[-1]),
        positions_(shape.sample().elements() / channels_),
        scale_(exec, {channels_}, scale),
        shift_(exec, {channels_}, shift),
        running_(exec, {2, channels_},
                 std::vector<float>(static_cast<size_t>(2 * channels_), kRunningVariance)) {
    for (const int32_t real : valid) members_.push_back(std::make_unique<Member>(exec, shape, real));
  }

  int64_t rows() const {
    int64_t sum = 0;
    for (const auto& m : members_) sum += m->valid * positions_;
    return sum;
  }

  /// x and dy hold the rows of the real samples of all micro-batches, one after the other.
  void run(const std::vector<float>& x, const std::vector<float>& dy) {
    deal(x, &Member::x);
    deal(dy, &Member::dy);
    for (const auto& m : members_) sync_batch_norm_moments(exec_, m->info.get(), m->x, m->moments, m->totals);
    add(&Member::totals);
    for (const auto& m : members_)
      sync_batch_norm_deviations(exec_, m->info.get(), positions_, m->moments, m->totals, m->deviations);
    add(&Member::deviations);
    for (const auto& m : members_)
      sync_batch_norm_normalize(exec_, m->info.get(), kEpsilon, m->x, scale_, shift_, running_, m->totals,
                                m->deviations, m->y, m->mean, m->inverse_std, m->sums);
    for (const auto& m : members_)
      sync_batch_norm_gradient_sums(exec_, m->info.get(), m->x, m->mean, m->inverse_std, m->dy, m->dscale,
                                    m->dshift, m->gradient_totals);
    add(&Member::gradient_totals);
    for (const auto& m : members_)
      sync_batch_norm_input_gradient(exec_, m->info.get(), m->x, scale_, m->mean, m->inverse_std, m->dy,
                                     m->gradient_totals, m->dx);
  }

  struct Member {
    Member(Exec exec, const Shape& shape, int32_t real)
        : valid(real),
          info(exec, {.step = 3, .valid = real, .weight = 0.25f}),
          x(exec, shape),
          dy(exec, shape),
          y(exec, shape),
          dx(exec, shape),
          moments(exec, {3, shape[-1]}),
          totals(exec, {shape[-1] + 1}),
          deviations(exec, {2, shape[-1]}),
          gradient_totals(exec, {2 * shape[-1] + 1}),
          mean(exec, {shape[-1]}),
          inverse_std(exec, {shape[-1]}),
          sums(exec, {2, shape[-1]}),
          dscale(exec, {shape[-1]}),
          dshift(exec, {shape[-1]}) {}
    int32_t valid;
    OnBackend<MicroBatchInfo> info;
    Guarded<float> x, dy, y, dx, moments, totals, deviations, gradient_totals, mean, inverse_std, sums,
        dscale, dshift;
  };
  using Part = Guarded<float> Member::*;
  const std::vector<std::unique_ptr<Member>>& members() const { return members_; }

  /// The rows of real samples, one micro-batch after the other; the others' must be zero.
  std::vector<float> real(Part part) const {
    std::vector<float> all;
    for (const auto& m : members_) {
      const std::vector<float> values = ((*m).*part).values();
      const auto end = values.begin() + m->valid * positions_ * channels_;
      all.insert(all.end(), values.begin(), end);
      EXPECT_THAT(std::vector<float>(end, values.end()), testing::Each(0.f));
    }
    return all;
  }
  /// Added over the micro-batches.
  std::vector<float> total(Part part) const {
    std::vector<float> sum;
    for (const auto& m : members_) {
      const std::vector<float> values = ((*m).*part).values();
      sum.resize(values.size());
      for (size_t i = 0; i < values.size(); ++i) sum[i] += values[i];
    }
    return sum;
  }

 private:
  void deal(const std::vector<float>& rows, Part part) {
    auto from = rows.begin();
    for (const auto& m : members_) {
      std::vector<float> values(static_cast<size_t>(shape_.elements()),
                                std::numeric_limits<float>::quiet_NaN());
      const int64_t count = m->valid * positions_ * channels_;
      std::copy_n(from, count, values.begin());
      from += count;
      ((*m).*part).set(values);
    }
  }
  void add(Part part) {
    const std::vector<float> sum = total(part);
    for (const auto& m : members_) ((*m).*part).set(sum);
  }

  Exec exec_;
  Shape shape_;
  int64_t channels_, positions_;
  Guarded<float> scale_, shift_, running_;
  std::vector<std::unique_ptr<Member>> members_;
};

using Member = Together::Member;

struct Case {
  Shape shape;
  std::vector<int32_t> valid;
};

TEST_P(SyncBatchNormTest, IsBatchNormOverTheJoinedBatch) {
  for (const Case& test : {Case{{4, 3, 2, 5}, {4}}, Case{{4, 3, 2, 5}, {4, 4}},
                           Case{{4, 3, 2, 5}, {4, 3, 0, 1}}, Case{{7, 70}, {7, 2}},
                           Case{{2, 1, 1, 3}, {1, 0}}, Case{{16, 1}, {16, 5, 1}}, Case{{5, 40, 3}, {5, 2}}}) {
    SCOPED_TRACE(fmt::format("{} with {} valid", to_string(test.shape), fmt::join(test.valid, ", ")));
    const int64_t channels = test.shape[-1];
    const auto scale = random_values(channels, 3, 0.5f, 2), shift = random_values(channels, 4);
    Together together(exec(), test.shape, test.valid, scale, shift);
    const int64_t rows = together.rows();
    const auto x = random_values(rows * channels, 1, -1, 3), dy = random_values(rows * channels, 2);
    together.run(x, dy);

    const auto normalize = [&](const Doubles& at_x, const Doubles& at_scale, const Doubles& at_shift) {
      return oracle::batch_norm(rows, channels, kEpsilon, at_x, at_scale, at_shift);
    };
    const Doubles s = to_double(scale), t = to_double(shift), in = to_double(x);
    const oracle::BatchNorm expected = normalize(in, s, t);
    expect_close(together.real(&Member::y), expected.y, kNormalized, "y");
    Doubles inverse_std;
    for (const double variance : expected.biased_variance)
      inverse_std.push_back(1 / std::sqrt(variance + kEpsilon));
    for (const auto& member : together.members()) {
      expect_close(member->mean.values(), expected.mean, kSum, "saved_mean");
      expect_close(member->inverse_std.values(), inverse_std, kNormalized, "saved_inverse_std");
      Doubles sums;
      for (const double mean : expected.mean) sums.push_back(member->valid * mean);
      for (const double variance : expected.unbiased_variance)
        sums.push_back(member->valid * (rows == 1 ? kRunningVariance : variance));
      expect_close(member->sums.values(), sums, kSum, "sums");
    }

    expect_gradient(
        together.real(&Member::dx), [&](const Doubles& at) { return normalize(at, s, t).y; }, x, dy, "dx",
        kNormalized);
    expect_gradient(
        together.total(&Member::dscale), [&](const Doubles& at) { return normalize(in, at, t).y; }, scale, dy,
        "dscale", kNormalized);
    expect_gradient(
        together.total(&Member::dshift), [&](const Doubles& at) { return normalize(in, s, at).y; }, shift, dy,
        "dshift");
  }
}

TEST_P(SyncBatchNormTest, PaddingAloneGivesZerosAndNeverNaN) {
  Together together(exec(), {3, 2, 2, 4}, {0, 0}, std::vector<float>(4, 1.f), std::vector<float>(4, 1.f));
  together.run({}, {});
  for (const Together::Part part : {&Member::y, &Member::dx}) EXPECT_TRUE(together.real(part).empty());
  for (const Together::Part part : {&Member::sums, &Member::dscale, &Member::dshift})
    EXPECT_THAT(together.total(part), testing::Each(0.f));
  for (const Together::Part part : {&Member::mean, &Member::inverse_std})
    for (const float value : together.total(part)) EXPECT_TRUE(std::isfinite(value));
}

// In float, a sum of 6400 values near 4100 is known to 2, and the mean of them to 3e-4 at best.
TEST_P(SyncBatchNormTest, ALargeMeanDrownsNeitherTheMeanNorTheVariance) {
  const std::vector<int32_t> valid(64, 100);
  Together together(exec(), {100, 1}, valid, {1}, {0});
  std::vector<float> x = random_values(6400, 1), dy = random_values(6400, 2);
  for (size_t i = 0; i < x.size(); ++i)  // exact in float; the first micro-batches lie higher
    x[i] = (i < 1000 ? 4102.f : 4100.f) + std::round(x[i] * 64) / 64;
  together.run(x, dy);
  const oracle::BatchNorm expected = oracle::batch_norm(6400, 1, kEpsilon, to_double(x), {1}, {0});
  const float mean = together.members()[5]->mean.values()[0];
  EXPECT_NEAR(mean, expected.mean[0], 0x1p-11) << "the nearest float, or its neighbour";
  EXPECT_NEAR(together.total(&Member::sums)[1] / 6400, expected.unbiased_variance[0],
              1e-5 * expected.unbiased_variance[0]);
}

TEST_P(SyncBatchNormTest, TheGradientMayBeOverwritten) {
  const Shape shape{3, 2, 4};
  const auto scale = random_values(4, 3), shift = random_values(4, 4);
  const auto x = random_values(24, 1), dy = random_values(24, 2);
  Together together(exec(), shape, {3}, scale, shift);
  together.run(x, dy);
  const std::vector<float> apart = together.real(&Member::dx);
  const Member& m = *together.members()[0];
  const Guarded<float> in_scale(exec(), {4}, scale);
  sync_batch_norm_input_gradient(exec(), m.info.get(), m.x, in_scale, m.mean, m.inverse_std, m.dy,
                                 m.gradient_totals, m.dy);
  EXPECT_EQ(together.real(&Member::dy), apart);
}

}  // namespace
}  // namespace lockstep::test

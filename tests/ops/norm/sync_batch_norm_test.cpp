#include "src/ops/norm/sync_batch_norm.h"

#include <fmt/ranges.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>

#include "src/tensor/real.h"
#include "tests/support/backend.h"
#include "tests/support/harness/op_case.h"
#include "tests/support/oracles.h"

namespace lockstep::test {
namespace {

constexpr float kSyncEpsilon = 1e-3f;
constexpr float kRunningVariance = 0.7f;

/// Several micro-batches of one shape whose sums are added here, and what batch norm makes of them. Their
/// padding is NaN, and what becomes of it must be zero.
template <Real T>
class Together {
 public:
  Together(Exec exec, const Shape& shape, const std::vector<int32_t>& valid, bool adds, bool relu)
      : exec_(exec),
        adds_(adds),
        relu_(relu),
        positions_(shape.sample().elements() / shape[-1]),
        per_sample_(shape.sample().elements()),
        running_(exec, {2, shape[-1]},
                 std::vector<float>(static_cast<size_t>(2 * shape[-1]), kRunningVariance)) {
    for (const int32_t real : valid) members_.push_back(std::make_unique<Member>(exec, shape, real));
  }

  void forward(const OpCall& c) {
    deal(c["x"], &Member::x);
    if (adds_) deal(c["added"], &Member::added);
    for (const auto& m : members_) sync_batch_norm_moments(exec_, m->info.get(), m->x, m->moments, m->totals);
    add(&Member::totals);
    for (const auto& m : members_)
      sync_batch_norm_deviations(exec_, m->info.get(), positions_, m->moments, m->totals, m->deviations);
    add(&Member::deviations);
    for (const auto& m : members_)
      sync_batch_norm_normalize(exec_, m->info.get(), kSyncEpsilon, m->x, c["scale"], c["shift"], running_,
                                m->totals, m->deviations, m->y, m->mean, m->inverse_std, m->sums,
                                {adds_ ? m->added.tensor() : Tensor{}, relu_});
    gather(&Member::y, c["y"]);
    stack(&Member::mean, c["mean"]);
    stack(&Member::inverse_std, c["inverse_std"]);
    stack(&Member::sums, c["sums"]);
  }

  void backward(const OpCall& c) {
    const Rows dx = c["dx"].raw() == c["dy"].raw() ? &Member::dy : &Member::dx;
    deal(c["dy"], &Member::dy);
    for (const auto& m : members_)
      sync_batch_norm_gradient_sums(exec_, m->info.get(), m->x, c["scale"], c["shift"], m->mean,
                                    m->inverse_std, m->dy, m->dscale, m->dshift, m->gradient_totals,
                                    epilogue(*m));
    add(&Member::gradient_totals);
    for (const auto& m : members_)
      sync_batch_norm_input_gradient(exec_, m->info.get(), m->x, c["scale"], c["shift"], m->mean,
                                     m->inverse_std, m->dy, m->gradient_totals, (*m).*dx, epilogue(*m));
    gather(dx, c["dx"]);
    if (adds_) gather(&Member::dadded, c["dadded"]);
    to_backend(exec_, c["dscale"], total(&Member::dscale));
    to_backend(exec_, c["dshift"], total(&Member::dshift));
  }

 private:
  struct Member {
    Member(Exec exec, const Shape& shape, int32_t real)
        : valid(real),
          info(exec, {.step = 3, .valid = real, .weight = 0.25f}),
          x(exec, shape),
          dy(exec, shape),
          y(exec, shape),
          dx(exec, shape),
          added(exec, shape),
          dadded(exec, shape),
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
    Guarded<T> x, dy, y, dx, added, dadded;
    Guarded<float> moments, totals, deviations, gradient_totals, mean, inverse_std, sums, dscale, dshift;
  };
  using Rows = Guarded<T> Member::*;
  using Part = Guarded<float> Member::*;

  BatchNormEpilogueGradient epilogue(const Member& m) const {
    return {relu_, adds_ && relu_ ? m.y.tensor() : Tensor{}, adds_ ? m.dadded.tensor() : Tensor{}};
  }

  template <typename AnyTensor>
  static auto span_of(const AnyTensor& tensor) {
    return std::span(tensor.template data<T>(), static_cast<size_t>(tensor.elements()));
  }
  /// To each micro-batch its real samples.
  void deal(ConstTensor joined, Rows part) {
    const std::vector<T> all = from_backend(exec_, span_of(joined));
    auto from = all.begin();
    for (const auto& m : members_) {
      std::vector<T> values(((*m).*part).span().size(), T(std::numeric_limits<float>::quiet_NaN()));
      std::copy_n(from, m->valid * per_sample_, values.begin());
      from += m->valid * per_sample_;
      ((*m).*part).set(values);
    }
  }
  void gather(Rows part, Tensor joined) const {
    std::vector<T> all;
    for (const auto& m : members_) {
      const std::vector<T> values = ((*m).*part).values();
      const auto end = values.begin() + m->valid * per_sample_;
      all.insert(all.end(), values.begin(), end);
      EXPECT_THAT(std::vector<float>(end, values.end()), testing::Each(0.f)) << "padding";
    }
    to_backend(exec_, span_of(joined), all);
  }
  void stack(Part part, Tensor stacked) const {
    std::vector<float> all;
    for (const auto& m : members_) {
      const std::vector<float> values = ((*m).*part).values();
      all.insert(all.end(), values.begin(), values.end());
    }
    to_backend(exec_, stacked, all);
  }
  std::vector<float> total(Part part) const {
    std::vector<float> sum;
    for (const auto& m : members_) {
      const std::vector<float> values = ((*m).*part).values();
      sum.resize(values.size());
      for (size_t i = 0; i < values.size(); ++i) sum[i] += values[i];
    }
    return sum;
  }
  void add(Part part) {
    const std::vector<float> sum = total(part);
    for (const auto& m : members_) ((*m).*part).set(sum);
  }

  Exec exec_;
  bool adds_, relu_;
  int64_t positions_, per_sample_;
  Guarded<float> running_;
  std::vector<std::unique_ptr<Member>> members_;
};

/// What a batch norm of all micro-batches' real samples as one batch computes, and what each of them leaves
/// behind.
Values oracle_of(const std::vector<int32_t>& valid, int64_t rows, int64_t channels, const Values& in) {
  if (rows == 0) return {{"y", {}}, {"sums", Doubles(valid.size() * static_cast<size_t>(2 * channels))}};
  const oracle::BatchNorm expected =
      oracle::batch_norm(rows, channels, kSyncEpsilon, in["x"], in["scale"], in["shift"]);
  Values out = {{"y", expected.y}};
  for (const int32_t real : valid) {
    for (size_t c = 0; c < expected.mean.size(); ++c) {
      out["mean"].push_back(expected.mean[c]);
      out["inverse_std"].push_back(1 / std::sqrt(expected.biased_variance[c] + kSyncEpsilon));
      out["sums"].push_back(real * expected.mean[c]);
    }
    for (const double variance : expected.unbiased_variance)
      out["sums"].push_back(real * (rows == 1 ? kRunningVariance : variance));
  }
  return out;
}

/// shape: of a micro-batch. The case's x, y and their gradients are the real samples of all of them.
OpCase sync_batch_norm_case(const Shape& shape, const std::vector<int32_t>& valid,
                            const Fill& x = between(-1, 3), const Tolerance& y = kNormalized,
                            const Tolerance& mean = kSum, const Tolerance& sums = kSum, bool adds = false,
                            bool relu = false) {
  const auto members = static_cast<int64_t>(valid.size()), channels = shape[-1];
  const int64_t samples = std::accumulate(valid.begin(), valid.end(), int64_t{0});
  const Shape joined = shape.sample().batched(samples);
  OpCase op;
  if (adds) op.input("added", joined);
  op.input("x", joined, x).input("scale", {channels}, between(0.5, 2)).input("shift", {channels});
  op.output("y", joined, y).output("mean", {members, channels}, mean);
  op.output("inverse_std", {members, channels}, kNormalized).output("sums", {members, 2, channels}, sums);
  op.output_gradient("y");
  op.activations = {"x", "y", "added"};
  op.prepare = [=](Exec exec, DType type) {
    OpRoutines routines;
    with_real(type, [&]<Real T>(T) {
      const auto together = std::make_shared<Together<T>>(exec, shape, valid, adds, relu);
      routines = {[=](const OpCall& c) { together->forward(c); },
                  [=](const OpCall& c) { together->backward(c); }};
    });
    return routines;
  };
  op.oracle = [=](const Values& in) {
    Values out = oracle_of(valid, joined.elements() / channels, channels, in);
    for (size_t i = 0; i < out["y"].size(); ++i) {
      double& value = out["y"][i];
      if (adds) value += in["added"][i];
      if (relu) value = std::max(value, 0.0);
    }
    return out;
  };
  return op;
}

OpCase with_gradients(OpCase op, bool adds = false, bool relu = false) {
  const Parts channels{.last = op.operand("scale").shape[0]};
  op.gradient("x", kNormalized, channels).gradient("scale", kNormalized, channels);
  op.gradient("shift", kGradient, channels);
  if (adds) op.gradient("added", kGradient, channels);
  if (relu) op.kinks = 0.01;
  op.may_alias = {{"dx", "dy"}};
  return op;
}

const RegisterOp kSyncBatchNorm("sync_batch_norm", [](Op& op) {
  const struct {
    Shape shape;
    std::vector<int32_t> valid;
  } cases[] = {{{4, 3, 2, 5}, {4}},  {{4, 3, 2, 5}, {4, 4}}, {{4, 3, 2, 5}, {4, 3, 0, 1}},
               {{7, 70}, {7, 2}},    {{2, 1, 1, 3}, {1, 0}}, {{16, 1}, {16, 5, 1}},
               {{5, 40, 3}, {5, 2}}, {{3, 2, 4}, {3}},       {{3, 2, 2, 4}, {0, 0}}};
  for (const auto& [shape, valid] : cases)
    op.add(fmt::format("{} with {} real", to_string(shape), fmt::join(valid, ", ")),
           with_gradients(sync_batch_norm_case(shape, valid)));
  for (const bool adds : {false, true})
    for (const bool relu : {false, true})
      if (adds || relu)
        op.add(fmt::format("a sum: {}, a ReLU: {}", adds, relu),
               with_gradients(sync_batch_norm_case({4, 3, 16}, {4, 3, 0, 1}, between(-1, 3), kNormalized,
                                                   kSum, kSum, adds, relu),
                              adds, relu));
  // In float, a sum of 6400 values near 4100 is known to 2, and the mean of them to 3e-4 at best. Exact in
  // float; the first micro-batches lie higher.
  const Fill large{.map = [i = 0](double value) mutable {
    return (i++ < 1000 ? 4102 : 4100) + std::round(value * 64) / 64;
  }};
  OpCase drowning =
      sync_batch_norm_case({100, 1}, std::vector<int32_t>(64, 100), large,
                           {2e-3, 0, "the saved mean is rounded, and divided by the standard deviation"},
                           {0x1p-11, 0, "the nearest float, or its neighbour"},
                           {0, 1e-5, "a variance that a float's mean does not drown"});
  drowning.activations.clear();  // in two bytes all of the values are one number, of no variance
  op.add("a large mean drowns neither the mean nor the variance", drowning);
});

}  // namespace
}  // namespace lockstep::test

#include "comm/cost/scaling_fit.h"

#include <algorithm>
#include <iterator>

#include "src/core/error.h"

namespace lockstep {

namespace {

/// The compute time of a rank with a core of its own, relative to that with this many ranks.
double time_factor(const Fabric& fabric, int64_t ranks) {
  return step_cost(fabric, {.compute_seconds = 1, .bucket_bytes = {}}, ranks).compute;
}

}  // namespace

LinearFit fit_factors(std::span<const LinearPoint> points) {
  double pp = 0, pq = 0, qq = 0, p1 = 0, q1 = 0;
  for (const LinearPoint& point : points) {
    INVARIANT(point.value > 0, "relative error of {}", point.value);
    const double p = point.p / point.value, q = point.q / point.value;
    pp += p * p, pq += p * q, qq += q * q, p1 += p, q1 += q;
  }
  const double determinant = pp * qq - pq * pq;
  if (determinant > 1e-9 * pp * qq) {
    const LinearFit both{(p1 * qq - q1 * pq) / determinant, (q1 * pp - p1 * pq) / determinant};
    if (both.first >= 0 && both.second >= 0) return both;
    if (both.first < 0) return {0, q1 / qq};
  }
  return pp > 0 ? LinearFit{p1 / pp, 0} : LinearFit{0, qq > 0 ? q1 / qq : 0};
}

StepWork ScalingModel::work(double samples_per_rank) const {
  const double compute = fixed_seconds + seconds_per_sample * samples_per_rank;
  return {compute, spread * compute, bucket_bytes, overlap};
}

StepCost ScalingModel::cost(int64_t ranks, double samples_per_rank) const {
  return step_cost(fabric, work(samples_per_rank), ranks);
}

ScalingModel fit_compute(const ScalingModel& known, std::span<const MeasuredStep> steps) {
  INVARIANT(!steps.empty(), "nothing was measured");
  ScalingModel model = known;
  model.spread = 0;
  std::vector<LinearPoint> compute;
  for (const MeasuredStep& step : steps) {
    compute.push_back(
        {step.samples_per_rank, 1, step.compute_seconds / time_factor(known.fabric, step.ranks)});
    model.spread += step.spread_seconds / step.compute_seconds / static_cast<double>(steps.size());
  }
  const LinearFit line = fit_factors(compute);
  model.seconds_per_sample = line.first;
  model.fixed_seconds = line.second;
  return model;
}

std::optional<ScalingModel> fit_scaling(const ScalingModel& known, std::span<const MeasuredStep> steps,
                                        std::span<const MeasuredAllReduce> sums) {
  if (steps.empty()) return std::nullopt;
  ScalingModel model = fit_compute(known, steps);
  std::vector<LinearPoint> messages;
  for (const MeasuredAllReduce& sum : sums) {
    if (sum.ranks < 2) continue;
    // The cost of the tree with a latency of one second, and with one second per byte.
    Fabric latency = known.fabric, bandwidth = known.fabric;
    latency.inside = {1, 0};
    bandwidth.inside = {0, 1};
    messages.push_back({all_reduce_seconds(AllReduce::tree, latency, sum.ranks, sum.bytes),
                        all_reduce_seconds(AllReduce::tree, bandwidth, sum.ranks, sum.bytes), sum.seconds});
  }
  if (messages.empty()) return std::nullopt;
  const LinearFit link = fit_factors(messages);
  model.fabric.inside = {link.first, link.second};
  return model;
}

std::vector<std::optional<double>> leave_one_out(const ScalingModel& known,
                                                 std::span<const MeasuredStep> steps,
                                                 std::span<const MeasuredAllReduce> sums) {
  std::vector<std::optional<double>> predicted;
  for (const MeasuredStep& held : steps) {
    const auto is_other = [&](const auto& measured) { return measured.ranks != held.ranks; };
    std::vector<MeasuredStep> other_steps;
    std::vector<MeasuredAllReduce> other_sums;
    std::copy_if(steps.begin(), steps.end(), std::back_inserter(other_steps), is_other);
    std::copy_if(sums.begin(), sums.end(), std::back_inserter(other_sums), is_other);
    const std::optional<ScalingModel> model = fit_scaling(known, other_steps, other_sums);
    predicted.push_back(model ? std::optional(model->cost(held.ranks, held.samples_per_rank).seconds)
                              : std::nullopt);
  }
  return predicted;
}

}  // namespace lockstep

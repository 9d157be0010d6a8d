#include "src/train/run/evaluator.h"

#include <algorithm>

#include "io/dataset/loader.h"
#include "src/core/activity.h"
#include "src/device/fence.h"
#include "src/ops/loss/loss.h"

namespace lockstep {

namespace {

/// Asking all ranks costs little next to so many rounds, and so many take little time.
constexpr int64_t kRoundsBetweenLooks = 8;

}  // namespace

int loader_threads(const Dataset& dataset, Exec exec) {
  return dataset.in_memory() && !exec.on_cuda() ? 0 : 1;
}

Evaluator::Evaluator(Exec exec, ThreadPool& pool, const Task& task, const Graph& graph,
                     const Parameters& parameters, int64_t micro_batch)
    : exec_(exec), pool_(pool), task_(task), micro_batch_(micro_batch) {
  for (int lane = 0; lane < pool.lanes(); ++lane)
    lanes_.push_back({Network(exec, graph, parameters, micro_batch, /*training=*/false),
                      MicroBatches(exec, task, micro_batch, 1)});
}

bool Evaluator::run(const Dataset& dataset, int rank, int ranks, const Calls& calls) {
  const int64_t lanes = pool_.lanes();
  const int64_t rows = lanes * micro_batch_;
  const Sampler sampler(0, dataset.size(), rows * ranks, /*shuffle=*/false);
  const int64_t rounds = sampler.steps_per_epoch();

  // What each micro-batch holds is known before the first is read.
  const auto number = [&](int64_t round, int64_t lane) { return (round * ranks + rank) * lanes + lane; };
  Buffer host_infos(exec_, Memory::pinned, static_cast<size_t>(rounds * lanes) * sizeof(MicroBatchInfo));
  for (int64_t i = 0; i < rounds * lanes; ++i) {
    const int64_t first = number(i / lanes, i % lanes) * micro_batch_;
    host_infos.as<MicroBatchInfo>()[static_cast<size_t>(i)] =
        micro_batch_info(first, micro_batch_, dataset.size(), /*step=*/0, /*weight=*/1.0f);
  }
  const Buffer infos(exec_, Memory::device, host_infos.size());
  copy(exec_, infos.data(), host_infos.data(), infos.size());

  Loader loader(
      exec_, dataset, sampler,
      {.first_slot = rank * rows, .rows = rows, .last_epoch = 1, .threads = loader_threads(dataset, exec_)});
  Fence copied(exec_);
  const PhaseScope evaluating(Phase::evaluate);
  for (int64_t round = 0; round < rounds; ++round) {
    activity().enter(Phase::evaluate, round);
    if (calls.stops && round % kRoundsBetweenLooks == 0 && calls.stops()) return false;
    const Batch* batch = loader.next();
    INVARIANT(batch != nullptr, "the loader ended at round {} of {}", round, rounds);
    const auto round_of = [&](int64_t number_of_lane) {
      Lane& lane = lanes_[static_cast<size_t>(number_of_lane)];
      const int64_t local = round * lanes + number_of_lane;
      return Round{lane.network, lane.samples.at(0, infos.as<MicroBatchInfo>().data() + local),
                   number(round, number_of_lane), local};
    };
    const auto holds_samples = [&](int64_t lane) {
      return host_infos.as<MicroBatchInfo>()[static_cast<size_t>(round * lanes + lane)].valid > 0;
    };
    pool_.run([&](int lane) {
      if (!holds_samples(lane)) return;
      lanes_[static_cast<size_t>(lane)].samples.load(*batch, lane * micro_batch_);
      calls.compute(round_of(lane));
    });
    copied.record();
    copied.wait();
    if (!calls.in_order) continue;
    for (int64_t lane = 0; lane < lanes; ++lane)
      if (holds_samples(lane)) calls.in_order(round_of(lane));
  }
  return true;
}

Evaluation Evaluator::evaluate(World& world, const Dataset& dataset) {
  return *evaluate(world, dataset, nullptr);
}

std::optional<Evaluation> Evaluator::evaluate(World& world, const Dataset& dataset,
                                              const std::function<bool()>& wants_to_stop) {
  const int64_t micro_batches = (dataset.size() + micro_batch_ - 1) / micro_batch_;
  const int64_t lanes = pool_.lanes();
  const int64_t local = (micro_batches + world.size() * lanes - 1) / (world.size() * lanes) * lanes;
  const Buffer metrics(exec_, Memory::device, static_cast<size_t>(kLossMetrics * local) * sizeof(float));
  std::vector<int64_t> number_of_local(static_cast<size_t>(local), -1);
  Calls calls;
  calls.compute = [&](const Round& round) {
    number_of_local[static_cast<size_t>(round.local)] = round.micro_batch;
    lockstep::evaluate(
        task_, round.network, round.samples,
        Tensor(metrics.as<float>().data() + kLossMetrics * round.local, DType::f32, {kLossMetrics}));
  };
  if (wants_to_stop) calls.stops = [&] { return world.any(wants_to_stop()); };
  if (!run(dataset, world.rank(), world.size(), calls)) return std::nullopt;
  std::vector<float> host(static_cast<size_t>(kLossMetrics * local));
  copy(exec_, host.data(), metrics.data(), metrics.size());
  synchronize(exec_);

  // Each micro-batch's numbers come from one rank, so summing over the ranks is exact; then they are added in
  // order.
  std::vector<double> sums(static_cast<size_t>(2 * micro_batches));
  for (int64_t i = 0; i < local; ++i) {
    const int64_t number = number_of_local[static_cast<size_t>(i)];
    if (number < 0) continue;
    sums[static_cast<size_t>(2 * number)] = host[static_cast<size_t>(kLossMetrics * i)];
    sums[static_cast<size_t>(2 * number + 1)] = host[static_cast<size_t>(kLossMetrics * i + 1)];
  }
  world.sum(sums);
  Evaluation result{.samples = dataset.size()};
  for (size_t i = 0; i < sums.size(); i += 2) {
    result.loss += sums[i];
    result.accuracy += sums[i + 1];
  }
  result.loss /= static_cast<double>(dataset.size());
  result.accuracy /= static_cast<double>(dataset.size());
  return result;
}

void Evaluator::predict(const Dataset& dataset, const Visit& visit) {
  const int64_t outputs = task_.outputs();
  std::vector<float> host(static_cast<size_t>(micro_batch_ * outputs));
  Calls calls;
  calls.compute = [&](const Round& round) {
    lockstep::predict(task_, round.network, round.samples);
    const Tensor output = round.network.output();
    if (task_.classifies()) softmax(exec_, output, output);
  };
  calls.in_order = [&](const Round& round) {
    copy(exec_, host.data(), round.network.output().raw(), host.size() * sizeof(float));
    synchronize(exec_);
    const int64_t first = round.micro_batch * micro_batch_;
    const int64_t rows = std::min(micro_batch_, dataset.size() - first);
    visit(first, ConstTensor(host.data(), DType::f32, {rows, outputs}));
  };
  run(dataset, 0, 1, calls);
}

}  // namespace lockstep

#include "src/train/run/evaluator.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "io/dataset/loader.h"
#include "src/core/activity.h"
#include "src/device/fence.h"

namespace lockstep {

namespace {

/// Asking all ranks is cheap compared with this number of rounds, and they take little time.
constexpr int64_t kRoundsBetweenLooks = 8;

}  // namespace

int loader_threads(const Dataset& dataset, Exec exec) {
  if (!dataset.in_memory()) return dataset.readers();
  return exec.on_cuda() ? 1 : 0;
}

Evaluator::Inputs::Inputs(Exec exec, const Task& task, int64_t micro_batch, bool capture,
                          std::function<void()> evaluate_, std::function<void()> predict_)
    : samples(exec, task, micro_batch, 1),
      info(exec, Memory::device, sizeof(MicroBatchInfo)),
      metrics(exec, Memory::device, kLossMetrics * sizeof(float)),
      evaluate(exec, capture, std::move(evaluate_)),
      predict(exec, capture, std::move(predict_)) {}

Evaluator::Lane::Lane(Exec exec, const Task& task, const Graph& graph, const Parameters& parameters,
                      int64_t micro_batch, const Augmenter& middle_, int number, bool capture)
    : network(exec, graph, parameters, micro_batch, /*training=*/false) {
  if (middle_.is_active()) middle = {&middle_, number, 0};
  for (size_t set = 0; set < static_cast<size_t>(input_sets(exec.on_cuda())); ++set)
    inputs.emplace_back(
        exec, task, micro_batch, capture,
        [this, set, &task] {
          lockstep::evaluate(task, network, batch(set),
                             Tensor(inputs[set].metrics.data(), DType::f32, {kLossMetrics}));
        },
        [this, set, &task] {
          lockstep::predict(task, network, batch(set));
          task.objective().activate(network.output());
        });
}

MicroBatch Evaluator::Lane::batch(size_t set) const {
  MicroBatch batch = inputs[set].samples.at(0, inputs[set].info.as<MicroBatchInfo>().data());
  batch.augmentation = middle;
  return batch;
}

Evaluator::Evaluator(Exec exec, ThreadPool& pool, const Task& task, const Graph& graph,
                     const Parameters& parameters, int64_t micro_batch, std::vector<Metric> metrics,
                     bool capture)
    : exec_(exec),
      pool_(pool),
      task_(task),
      micro_batch_(micro_batch),
      metrics_(std::move(metrics)),
      needs_(needs_of(metrics_)),
      middle_(std::make_unique<Augmenter>(task, graph.shape(0), micro_batch, 1, pool.lanes(),
                                          Augmenter::Purpose::evaluation)),
      copies_(exec) {
  for (int lane = 0; lane < pool.lanes(); ++lane)
    lanes_.push_back(
        std::make_unique<Lane>(exec, task, graph, parameters, micro_batch, *middle_, lane, capture));
}

bool Evaluator::run(const Dataset& dataset, int rank, int ranks, const Calls& calls) {
  const int64_t lanes = pool_.lanes();
  const int64_t rows = lanes * micro_batch_;
  const Sampler sampler(0, dataset.size(), rows * ranks, {Order::Kind::stored});
  const int64_t rounds = sampler.steps_per_epoch();

  // The contents of each micro-batch are known before the first one is read.
  const auto number = [&](int64_t round, int64_t lane) { return (round * ranks + rank) * lanes + lane; };
  const Buffer infos(exec_, Memory::pinned, static_cast<size_t>(rounds * lanes) * sizeof(MicroBatchInfo));
  for (int64_t i = 0; i < rounds * lanes; ++i) {
    const int64_t first = number(i / lanes, i % lanes) * micro_batch_;
    infos.as<MicroBatchInfo>()[static_cast<size_t>(i)] =
        micro_batch_info(first, micro_batch_, dataset.size(), /*step=*/0, /*weight=*/1.0f);
  }

  Loader loader(
      exec_, dataset, sampler,
      {.first_slot = rank * rows, .rows = rows, .last_epoch = 1, .threads = loader_threads(dataset, exec_)});
  const size_t sets = lanes_[0]->inputs.size();
  std::deque<Fence> computed;
  for (size_t set = 0; set < sets; ++set) computed.emplace_back(exec_);
  const PhaseScope evaluating(Phase::evaluate);
  for (int64_t round = 0; round < rounds; ++round) {
    activity().enter(Phase::evaluate, round);
    if (calls.stops && round % kRoundsBetweenLooks == 0 && calls.stops()) {
      synchronize(exec_);  // what is enqueued uses memory that is freed
      return false;
    }
    const Batch* batch = loader.next();
    INVARIANT(batch != nullptr, "the loader ended at round {} of {}", round, rounds);
    const size_t set = static_cast<size_t>(round) % sets;
    const auto round_of = [&](int64_t lane) {
      const Lane& of_lane = *lanes_[static_cast<size_t>(lane)];
      return Round{of_lane.network, of_lane.inputs[set], number(round, lane), round * lanes + lane};
    };
    const auto info_of = [&](int64_t lane) -> const MicroBatchInfo& {
      return infos.as<MicroBatchInfo>()[static_cast<size_t>(round * lanes + lane)];
    };
    pool_.run([&](int lane) {
      if (info_of(lane).valid == 0) return;
      Inputs& inputs = lanes_[static_cast<size_t>(lane)]->inputs[set];
      inputs.samples.load(copies_, *batch, lane * micro_batch_);
      copies_.copy(inputs.info.data(), &info_of(lane), sizeof(MicroBatchInfo));
      copies_.join();
      (inputs.*calls.computation).run();
      if (calls.computed) calls.computed(round_of(lane));
    });
    computed[set].record();
    // Afterwards the batch may be overwritten, and so may the inputs of the round before.
    copies_.wait();
    if (round > 0) computed[static_cast<size_t>(round - 1) % sets].wait();
    if (!calls.in_order) continue;
    for (int64_t lane = 0; lane < lanes; ++lane)
      if (info_of(lane).valid > 0) calls.in_order(round_of(lane));
  }
  return true;
}

double Evaluation::watched(const std::string& name) const {
  if (name == "validation_loss") return loss;
  for (const Value& metric : metrics)
    if (name == "validation_" + metric.name) return metric.value;
  return std::numeric_limits<double>::quiet_NaN();
}

Evaluation Evaluator::evaluate(World& world, const Dataset& dataset) {
  return *evaluate(world, dataset, nullptr);
}

std::optional<Evaluation> Evaluator::evaluate(World& world, const Dataset& dataset,
                                              const std::function<bool()>& wants_to_stop) {
  std::optional<MetricTables> tables;
  return evaluate(world, dataset, loss_counts_accuracy() ? MetricNeeds{} : needs_, wants_to_stop, tables);
}

Evaluator::Tables Evaluator::evaluate_with_tables(World& world, const Dataset& dataset,
                                                  const MetricNeeds& also) {
  MetricNeeds needs = needs_;
  needs.counts |= also.counts;
  needs.confusion |= also.confusion;
  std::optional<MetricTables> tables;
  const std::optional<Evaluation> evaluation = evaluate(world, dataset, needs, nullptr, tables);
  if (!tables) tables.emplace(task_.objective(), needs, dataset.size());
  return {*evaluation, *std::move(tables)};
}

bool Evaluator::loss_counts_accuracy() const {
  const Objective& objective = task_.objective();
  const bool one_answer = objective.classifies() && objective.target_shape().rank() <= 1 &&
                          objective.positions() == 1 && !objective.weighs_targets();
  return one_answer &&
         std::ranges::all_of(metrics_, [](const Metric& metric) { return metric.name == "accuracy"; });
}

std::optional<Evaluation> Evaluator::evaluate(World& world, const Dataset& dataset, const MetricNeeds& needs,
                                              const std::function<bool()>& wants_to_stop,
                                              std::optional<MetricTables>& tables) {
  const int64_t micro_batches = (dataset.size() + micro_batch_ - 1) / micro_batch_;
  const int64_t lanes = pool_.lanes();
  const int64_t local = (micro_batches + world.size() * lanes - 1) / (world.size() * lanes) * lanes;
  const Buffer metrics(exec_, Memory::device, static_cast<size_t>(kLossMetrics * local) * sizeof(float));
  std::vector<int64_t> number_of_local(static_cast<size_t>(local), -1);
  std::vector<MetricTables> lane_tables;
  if (needs.any()) lane_tables = make_tables(dataset, needs);
  Calls calls{.computation = &Inputs::evaluate};
  calls.computed = [&](const Round& round) {
    number_of_local[static_cast<size_t>(round.local)] = round.micro_batch;
    copy(exec_, metrics.as<float>().data() + kLossMetrics * round.local, round.inputs.metrics.data(),
         round.inputs.metrics.size());
    if (needs.any()) collect(round, dataset, lane_tables[static_cast<size_t>(round.local % lanes)]);
  };
  if (wants_to_stop) calls.stops = [&] { return world.any(wants_to_stop()); };
  if (!run(dataset, world.rank(), world.size(), calls)) return std::nullopt;
  std::vector<float> host(static_cast<size_t>(kLossMetrics * local));
  copy(exec_, host.data(), metrics.data(), metrics.size());
  synchronize(exec_);

  // Each micro-batch is computed by one rank, so the all-reduce is exact; the losses are then added in order.
  std::vector<double> sums(static_cast<size_t>(kLossMetrics * micro_batches));
  for (int64_t i = 0; i < local; ++i) {
    const int64_t number = number_of_local[static_cast<size_t>(i)];
    if (number >= 0)
      std::copy_n(host.begin() + kLossMetrics * i, kLossMetrics, sums.begin() + kLossMetrics * number);
  }
  world.sum(sums);
  double right = 0, weight = 0;
  Evaluation result{.samples = dataset.size()};
  for (size_t i = 0; i < sums.size(); i += kLossMetrics) {
    result.loss += sums[i];
    right += sums[i + 1];
    weight += sums[i + 2];
  }
  const auto samples = static_cast<double>(dataset.size());
  if (!task_.objective().weighs_targets())
    result.loss /= samples;
  else
    result.loss = weight > 0 ? result.loss / weight : 0;
  if (!needs.any()) {
    for (const Metric& metric : metrics_) result.metrics.push_back({metric.name, right / samples, true});
    return result;
  }
  for (size_t lane = 1; lane < lane_tables.size(); ++lane) lane_tables[0].add(lane_tables[lane]);
  tables.emplace(std::move(lane_tables[0]));
  tables->join([&](std::span<double> values) { world.sum(values); });
  for (const Metric& metric : metrics_)
    result.metrics.push_back({metric.name, value_of(metric, *tables, needs), metric.is_share});
  return result;
}

std::vector<MetricTables> Evaluator::make_tables(const Dataset& dataset, const MetricNeeds& needs) const {
  MetricTables empty(task_.objective(), needs, dataset.size());
  const int64_t first = 0;
  std::vector<std::byte> x(static_cast<size_t>(task_.raw_x_shape(1).elements()) * size_of(task_.x_dtype()));
  std::vector<std::byte> y(static_cast<size_t>(task_.objective().raw_y_shape(1).elements()) *
                           size_of(task_.objective().y_dtype()));
  dataset.read({&first, 1}, x.data(), y.data());
  empty.set_reference(y.data());
  return std::vector(static_cast<size_t>(pool_.lanes()), empty);
}

void Evaluator::collect(const Round& round, const Dataset& dataset, MetricTables& tables) const {
  const int64_t first = round.micro_batch * micro_batch_;
  const int64_t count = std::min(micro_batch_, dataset.size() - first);
  const Tensor output = round.network.output();
  const ConstTensor y = round.inputs.samples.at(0, nullptr).y;
  if (!exec_.on_cuda())
    return tables.add(output.data<float>(), static_cast<const std::byte*>(y.raw()), first, count);
  std::vector<float> outputs(static_cast<size_t>(output.elements()));
  std::vector<std::byte> targets(y.bytes());
  copy(exec_, outputs.data(), output.raw(), output.bytes());
  copy(exec_, targets.data(), y.raw(), targets.size());
  synchronize(exec_);
  tables.add(outputs.data(), targets.data(), first, count);
}

void Evaluator::predict(const Dataset& dataset, const Visit& visit) {
  const int64_t outputs = task_.objective().positions() * task_.objective().outputs();
  std::vector<float> host(static_cast<size_t>(micro_batch_ * outputs));
  Calls calls{.computation = &Inputs::predict};
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

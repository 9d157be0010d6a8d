#include "src/train/step/step.h"

#include <algorithm>
#include <thread>

#include "src/core/step_part.h"
#include "src/device/elementwise.h"
#include "src/ops/fingerprint.h"
#include "src/ops/step_guard.h"

namespace lockstep {

namespace {

int lanes_of(const Step::Parts& parts, const Batching& batching) {
  return std::min(parts.pool.lanes(), batching.micro_batches);
}

/// shares: networks whose memory they use, one for each lane; null: their own.
std::vector<Network> make_networks(const Step::Parts& parts, const Graph& graph, const Batching& batching,
                                   const std::vector<Network>* shares) {
  std::vector<Network> networks;
  const int lanes = lanes_of(parts, batching);
  networks.reserve(static_cast<size_t>(lanes));
  for (int lane = 0; lane < lanes; ++lane)
    networks.emplace_back(parts.exec, graph, parts.parameters, batching.micro_batch, /*training=*/true,
                          shares == nullptr ? nullptr : &(*shares)[static_cast<size_t>(lane)]);
  return networks;
}

}  // namespace

Step::Size::Size(const Parts& parts, const Batching& batching, const Task& of_samples, const Graph& graph,
                 const Size* whole)
    : task(of_samples),
      networks(make_networks(parts, graph, batching, whole == nullptr ? nullptr : &whole->networks)),
      augmenter(task, networks[0].input().shape().sample(), batching.micro_batch, batching.micro_batches,
                static_cast<int>(networks.size()), Augmenter::Purpose::training,
                input_sets(parts.exec.on_cuda())) {
  for (int set = 0; set < input_sets(parts.exec.on_cuda()); ++set)
    batches.emplace_back(parts.exec, task, batching.micro_batch, batching.micro_batches,
                         whole == nullptr ? nullptr : &whole->batches[static_cast<size_t>(set)]);
}

Step::Step(const Parts& parts, const Batching& batching, const Options& options)
    : parts_(parts),
      batching_(batching),
      max_bad_steps_(options.max_bad_steps),
      scales_loss_(options.scales_loss),
      reduced_(parts.exec, Memory::device,
               static_cast<size_t>(parts.parameters.layout().reduced_size()) * sizeof(float)),
      reducer_(parts.exec, parts.communicator, reduced_.as<float>(),
               make_buckets(parts.parameters.layout().ready_ends, options.bucket_bytes),
               batching.micro_batches, lanes_of(parts, batching),
               {.wire = options.gradients,
                .sharded = parts.sharding != nullptr,
                .head = parts.parameters.layout().gradients_offset()}),
      copies_(parts.exec),
      started_(parts.exec),
      has_batch_(parts.exec),
      done_(parts.exec) {
  sizes_.emplace_back(parts, batching, parts.task, parts.graph, nullptr);
  for (const ShorterModel& model : parts.shorter)
    sizes_.emplace_back(parts, batching, model.task, model.graph, &sizes_[0]);
  if (parts.statistics != nullptr) statistics_.emplace(*parts.statistics);
  INVARIANT(parts.sharding == nullptr || parts.sharding->buckets() == reducer_.buckets(),
            "buckets of gradients and weights differ");
  const ParameterLayout& layout = parts.parameters.layout();
  bucket_of_node_.assign(parts.graph.nodes().size(), -1);
  for (size_t bucket = 0; bucket < reducer_.buckets().size(); ++bucket) {
    const int64_t end = reducer_.buckets()[bucket].offset + reducer_.buckets()[bucket].size;
    const auto at = std::find(layout.ready_ends.begin(), layout.ready_ends.end(), end);
    INVARIANT(at != layout.ready_ends.end(), "bucket {} ends inside a layer", bucket);
    const int node = layout.node_of_ready_end[static_cast<size_t>(at - layout.ready_ends.begin())];
    bucket_of_node_[static_cast<size_t>(node)] = static_cast<int>(bucket);
  }

  const size_t numbers_bytes =
      sizeof(Numbers) + static_cast<size_t>(batching.micro_batches) * sizeof(MicroBatchInfo);
  for (int set = 0; set < input_sets(parts.exec.on_cuda()); ++set)
    numbers_.emplace_back(parts.exec, Memory::device, numbers_bytes);
  host_numbers_ = Buffer(parts.exec, Memory::pinned, numbers_bytes);
  guard_ = Buffer(parts.exec, Memory::device, sizeof(StepGuard));
  const auto metrics_floats = static_cast<size_t>(layout.verdict_offset() + StepVerdict::kFloats);
  for (int turn = 0; turn < 2; ++turn) {
    turns_.emplace_back(parts.exec, metrics_floats * sizeof(float));
    for (size_t size = 0; size < sizes_.size(); ++size)
      turns_.back().replays.emplace_back(parts.exec, options.capture, [this] { enqueue(); });
  }
  resume(0, {.factor = scales_loss_ ? LossScale::kInitial : 0});
}

void Step::resume(int32_t bad_in_a_row, const LossScale& loss_scale) {
  const StepGuard guard{.bad_in_a_row = bad_in_a_row, .loss_scale = loss_scale};
  copy(parts_.exec, guard_.data(), &guard, sizeof guard);
  synchronize(parts_.exec);
}

std::span<float> Step::pieces_in(std::span<float> metrics) const {
  const auto offset = static_cast<size_t>(parts_.parameters.layout().fingerprint_offset());
  return metrics.subspan(offset, kFingerprintFloats);
}

std::span<float> Step::requests_in(std::span<float> metrics) const {
  const auto offset = static_cast<size_t>(parts_.parameters.layout().requests_offset());
  return metrics.subspan(offset, ParameterLayout::kRequestFloats);
}

StepVerdict* Step::verdict_in(std::span<float> metrics) const {
  static_assert(sizeof(StepVerdict) == StepVerdict::kFloats * sizeof(float));
  const auto offset = static_cast<size_t>(parts_.parameters.layout().verdict_offset());
  return reinterpret_cast<StepVerdict*>(metrics.subspan(offset, StepVerdict::kFloats).data());
}

std::vector<double> Step::output_losses_in(std::span<const float> metrics) const {
  const ParameterLayout& layout = parts_.parameters.layout();
  std::vector<double> losses;
  for (int64_t k = 0; k < layout.weighted_outputs; ++k) {
    const float* const own = metrics.data() + layout.output_metrics_offset() + k * kLossMetrics;
    const double weights = parts_.task.objective().weighs_targets() ? double{own[2]} : 1.0;
    losses.push_back(weights > 0 ? double{own[0]} / weights : 0.0);
  }
  return losses;
}

std::optional<StepMetrics> Step::take_metrics(std::span<float> metrics) {
  if (!pending_) return std::nullopt;
  std::optional<StepMetrics> result = std::exchange(pending_, std::nullopt);
  result->loss = metrics[0];
  result->correct = metrics[1];
  if (result->ranks_agreed)
    result->ranks_agreed = fingerprints_agree(pieces_in(metrics), parts_.communicator.size());
  const std::span<const float> requests = requests_in(metrics);
  result->requests = {.stop = requests[0] > 0, .save = requests[1] > 0};
  const StepVerdict verdict = *verdict_in(metrics);
  result->gradient_norm = verdict.gradient_norm;
  result->is_finite = verdict.is_bad == 0 && verdict.overflowed == 0;
  result->overflowed = verdict.overflowed != 0;
  result->loss_scale = {verdict.loss_scale, static_cast<int32_t>(verdict.good_steps)};
  result->output_losses = output_losses_in(metrics);
  return result;
}

std::optional<StepMetrics> Step::run(const Batch& batch, int64_t step, double lr, const Requests& requests,
                                     bool timed) {
  activity().start_step(step);
  enter(Phase::copy);
  const Turn& previous = turns_[static_cast<size_t>(turn_)];
  turn_ = 1 - turn_;
  Turn& turn = turns_[static_cast<size_t>(turn_)];
  size_ = size_of_batch(batch);

  // On a GPU each event between two graphs takes time of its own.
  timed |= !parts_.exec.on_cuda();
  if (timed) started_.record(Timestamp::Of::compute);
  load(batch, step, lr, requests);
  if (timed) has_batch_.record(Timestamp::Of::compute);
  // Not captured, because only some steps do it.
  const bool asks =
      parts_.replicas != nullptr && parts_.replicas->enqueue(step, pieces_in(reduced_.as<float>()));
  // Here, because a replayed step does not call enqueue().
  if (parts_.sharding != nullptr && parts_.sharding->gathers_working_copy())
    parts_.parameters.set_whole_weights(false);
  turn.replays[static_cast<size_t>(size_)].run();
  if (timed) done_.record(Timestamp::Of::compute);
  turn.done.record();

  // The inputs of the previous step, which this wait makes free, are those of the next one.
  wait_until([&] { return copies_.done() && previous.done.reached(); });
  std::optional<StepMetrics> last = take_metrics(previous.metrics.as<float>());
  pending_ = StepMetrics{.step = step, .samples = batch.global_valid};
  // The answer of the ranks arrives with the metrics.
  if (asks) pending_->ranks_agreed = false;
  return last;
}

int Step::size_of_batch(const Batch& batch) const {
  if (sizes_.size() == 1) return 0;
  const ShorterModel* const model = model_for(batch.x.shape()[1], parts_.shorter);
  return model == nullptr ? 0 : 1 + static_cast<int>(model - parts_.shorter.data());
}

void Step::load(const Batch& batch, int64_t step, double lr, const Requests& requests) {
  const int64_t rank_start = parts_.communicator.rank() * batching_.rank_batch();
  for (int m = 0; m < batching_.micro_batches; ++m) {
    MicroBatchInfo& info = infos_in(host_numbers_)[m];
    info = micro_batch_info(rank_start + m * batching_.micro_batch, batching_.micro_batch, batch.global_valid,
                            step - 1, 1.0f / static_cast<float>(batch.global_valid));
    if (scales_loss_) info.loss_scale = &guard_.as<StepGuard>()[0].loss_scale.factor;
  }
  numbers_in(host_numbers_) = {.optimizer = parts_.optimizer.scalars(lr, step),
                               .requests = {requests.stop ? 1.0f : 0.0f, requests.save ? 1.0f : 0.0f}};
  copies_.copy(numbers().data(), host_numbers_.data(), host_numbers_.size());
  size().batches[static_cast<size_t>(input_set())].load(copies_, batch);
  size().augmenter.load(copies_, batch, input_set());
  copies_.join();
}

std::optional<StepMetrics> Step::flush() {
  const Turn& newest = turns_[static_cast<size_t>(turn_)];
  wait_until([&] { return newest.done.reached(); });
  return take_metrics(newest.metrics.as<float>());
}

Step::Seconds Step::seconds() {
  wait_until([&] { return turns_[static_cast<size_t>(turn_)].done.reached(); });
  return {has_batch_.seconds_since(started_), done_.seconds_since(started_)};
}

void Step::enter(Phase phase, int64_t number) {
  // Any CUDA call may block until the GPU accepts more work, and therefore on an all-reduce.
  if (parts_.exec.on_cuda())
    activity().enter(Phase::device);
  else
    activity().enter(phase, number);
}

void Step::wait_until(const std::function<bool()>& reached) {
  // If a rank is lost, the GPU waits forever, and no host code of a replayed step would detect it.
  enter(Phase::update);
  while (!reached()) {
    parts_.communicator.check();
    std::this_thread::yield();
  }
}

void Step::enqueue() {
  // Added to micro-batch 0's buffer, like a fingerprint; the other buffers have zeros there.
  copy_few(parts_.exec, requests_in(reduced_.as<float>()).data(), numbers_in(numbers()).requests,
           ParameterLayout::kRequestFloats);
  reducer_.begin();
  if (statistics_) statistics_->begin();
  next_micro_batch_ = 0;
  parts_.pool.run([this](int lane) {
    if (static_cast<size_t>(lane) >= size().networks.size()) return;
    try {
      compute_share(lane);
    } catch (...) {
      // The other lanes must not wait for this one's contribution.
      reducer_.cancel(std::current_exception());
      if (statistics_) statistics_->cancel(std::current_exception());
      throw;
    }
  });
  {
    const StepPlaceScope place(StepPart::all_reduce);
    reducer_.finish(parts_.exec);
  }
  const StepPlaceScope place(StepPart::optimizer);
  enter(Phase::update);

  const std::span<float> reduced = reduced_.as<float>();
  const ParameterLayout& layout = parts_.parameters.layout();
  if (parts_.task.objective().weighs_targets())
    divide_by_weights(parts_.exec, Tensor(reduced.data(), DType::f32, {kLossMetrics}), gradients());
  StepGuard* const guard = guard_.as<StepGuard>().data();
  parts_.optimizer.judge(gradients(), {.loss = reduced.data(),
                                       .statistics = reduced.data() + layout.state_sums_offset(),
                                       .statistic_count = layout.summed_states_size,
                                       .max_bad = max_bad_steps_,
                                       .verdict = verdict_in(reduced),
                                       .guard = guard});
  size().networks[0].update_states(infos_in(numbers()), reduced, guard);
  parts_.optimizer.update(&numbers_in(numbers()).optimizer, parts_.parameters.trained_weights(), gradients(),
                          guard, parts_.parameters.working_weights());
  if (parts_.sharding != nullptr) parts_.sharding->gather_update(parts_.parameters);
  const std::span<float> metrics = turns_[static_cast<size_t>(turn_)].metrics.as<float>();
  copy_few(parts_.exec, metrics.data(), reduced.data(), static_cast<int64_t>(metrics.size()));
}

void Step::compute_share(int lane) {
  const int count = batching_.micro_batches;
  if (!statistics_) {
    for (int m = next_micro_batch_++; m < count; m = next_micro_batch_++) compute(lane, m, nullptr);
    return;
  }
  // In rounds, because all ranks must normalize the same micro-batches together.
  const auto lanes = static_cast<int>(size().networks.size());
  for (int first = 0; first + lane < count; first += lanes) {
    const JointSum joint_sum = [&, in_round = std::min(lanes, count - first)](std::span<float> values) {
      statistics_->sum(parts_.exec, lane, in_round, values);
    };
    compute(lane, first + lane, &joint_sum);
  }
}

void Step::compute(int lane, int m, const JointSum* joint_sum) {
  enter(Phase::compute, m);
  const auto reduce = [&](int node) {
    activity().progress();
    const StepPlaceScope place(StepPart::all_reduce);
    if (const int bucket = bucket_of_node_[static_cast<size_t>(node)]; bucket >= 0)
      reducer_.bucket_ready(parts_.exec, m, bucket);
  };
  MicroBatch batch = size().batches[static_cast<size_t>(input_set())].at(m, infos_in(numbers()) + m);
  if (size().augmenter.is_active()) batch.augmentation = {&size().augmenter, lane, m, input_set()};
  train(size().task, size().networks[static_cast<size_t>(lane)], batch, reducer_.leaf(m), joint_sum,
        {.gradients_done = reduce});
}

std::span<float> Step::gradients() const {
  return reduced_.as<float>().subspan(static_cast<size_t>(parts_.parameters.layout().gradients_offset()));
}

size_t Step::activation_bytes() const {
  size_t bytes = 0;
  for (const Size& size : sizes_)
    for (const Network& network : size.networks) bytes += static_cast<size_t>(network.arena_bytes());
  return bytes;
}

}  // namespace lockstep

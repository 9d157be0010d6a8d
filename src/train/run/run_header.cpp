#include "src/train/run/run_header.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "io/probe/findings.h"
#include "src/core/counted.h"
#include "src/core/text/readable_bytes.h"
#include "src/train/run/tuning_line.h"

namespace lockstep {

namespace {

std::string size_text(size_t bytes) { return readable_bytes(static_cast<int64_t>(bytes)); }

std::string describe_data(const TrainOptions& options, const TrainData& data, const Order& order) {
  std::string text =
      fmt::format("data: {}\norder: {}", data.train->describe(), describe_order(order, *data.train));
  if (options.data.gpu_direct)
    text += "\nGPUDirect Storage: cuFile reads the training samples; this has not been verified on hardware";
  if (data.validation) text += fmt::format("\nvalidation: {}", data.validation->describe());
  if (data.test) text += fmt::format("\ntest: {}", data.test->describe());
  return text;
}

/// Two lines: the task with the keys that change it, and how samples are read.
/// What the axes of a sample mean. A model of images adds an axis to samples that have two.
std::string samples_in_words(const RunFacts& run) {
  const Shape &sample = run.setup.task.input().shape, &input = run.setup.graph.value(0).shape;
  const bool has_channels = run.facts && run.facts->has_channels && sample.rank() == 2;
  if (!has_channels) return axes_in_words(input);
  const std::string text = axes_in_words(sample, has_channels);
  return input == sample ? text : fmt::format("{}; the network takes them as {}", text, to_string(input));
}

std::string describe_task(const RunFacts& run) {
  const TrainOptions& options = run.options;
  const Task& task = run.setup.task;
  const std::optional<SourceFacts>& facts = run.facts;
  const DataSignature& data = task.data();
  const Objective& objective = task.objective();
  const bool values = data.target_kind == TargetKind::values;
  const bool tokens = options.data.task == TargetTask::tokens;
  std::string text = fmt::format("task: {}", tokens ? "the next token, " : "") +
                     task_in_words(data.target_kind, data.outputs, data.y_shape, objective.describe_loss());
  if (options.data.task == TargetTask::automatic && options.train.loss == Loss::automatic &&
      options.data.classes == 0 && data.class_names.empty())
    text += fmt::format(" ({}if they are {}, set data.task = \"{}\")",
                        facts && facts->whole_floats ? "the floats take few integer values; " : "",
                        values ? "classes" : "numbers to predict", values ? "classes" : "values");
  if (!data.class_names.empty())
    text += fmt::format("\nclass names, from 0 on: {}", names_in_words(data.class_names));
  text += fmt::format("\nsamples: {} {}, read as {}", to_string(data.x_shape),
                      facts ? facts->x_stored.name : to_string(data.x_dtype),
                      tokens ? counted(data.x_shape.elements(), "token id") : samples_in_words(run));
  // Axis order matters only for samples with channels, which have at least three axes.
  if (data.x_shape.rank() >= 3)
    text += fmt::format(" (data.layout = \"{}\")",
                        options.data.layout == Layout::channels_first ? "channels_first" : "channels_last");
  return text;
}

std::string describe_precision(Precision precision, bool on_cuda) {
  if (precision == Precision::tf32 && !on_cuda) return "tf32, which the CPU computes as fp32";
  const bool is_narrow = activation_type(precision) != DType::f32;
  return fmt::format("{}{}", to_string(precision), is_narrow ? " with fp32 master weights" : "");
}

std::string describe_model(const RunFacts& run) {
  const TrainingSetup& setup = run.setup;
  const auto [least, most] = std::ranges::minmax(setup.optimizer_bytes);
  std::string text = fmt::format(
      "model: {} parameters, {}; activations {}, gradients {}, optimizer {} per rank",
      setup.parameters.layout().parameter_count,
      describe_precision(setup.graph.precision(), setup.exec.on_cuda()),
      size_text(setup.step.activation_bytes()), size_text(setup.step.gradient_bytes()), size_text(most));
  if (setup.sharding)
    text += fmt::format(" (sharded over {} ranks, at least {})", run.ranks, size_text(least));
  return text;
}

std::string describe_sums(const RunFacts& run) {
  const std::vector<Bucket>& buckets = run.setup.step.buckets();
  const auto longest = static_cast<size_t>(std::ranges::max(buckets, {}, &Bucket::size).size) * sizeof(float);
  const Wire wire = run.options.comm.gradients;
  return fmt::format("all-reduces: {} bucket{} of up to {}{}", buckets.size(), buckets.size() == 1 ? "" : "s",
                     size_text(longest),
                     wire == Wire::bf16   ? ", sent as bf16"
                     : wire == Wire::fp16 ? ", sent as fp16"
                                          : "");
}

/// Of samples and targets that are held in memory.
int64_t bytes_in_memory(const Dataset& data) {
  if (!data.in_memory()) return 0;
  const int64_t of_targets =
      data.target_kind() == TargetKind::none ? 0 : data.y_shape().elements() * int64_t{sizeof(float)};
  return data.size() *
         (data.x_shape().elements() * static_cast<int64_t>(size_of(data.x_dtype())) + of_targets);
}

std::string describe_memory(const RunFacts& run) {
  int64_t data = bytes_in_memory(*run.data.train), chunks = run.data.train->cache_use().bytes;
  // The parts of a split data set share its cache.
  const bool is_split = run.options.data.validation_split > 0 && !run.options.data.validation;
  for (const Dataset* other : {run.data.validation.get(), run.data.test.get()}) {
    if (other == nullptr) continue;
    data += bytes_in_memory(*other);
    if (!is_split || other != run.data.validation.get()) chunks += other->cache_use().bytes;
  }
  std::string text = fmt::format("memory: {} for buffers", size_text(static_cast<size_t>(run.buffers.host)));
  if (run.buffers.device > 0)
    text += fmt::format(" and {} on the GPU", size_text(static_cast<size_t>(run.buffers.device)));
  text += " on each rank";
  if (run.data.validation || run.data.test) text += ", evaluations apart";
  if (data > 0) text += fmt::format("; {} for data", size_text(static_cast<size_t>(data)));
  if (chunks > 0)
    text += fmt::format("; up to {} for decoded chunks", size_text(static_cast<size_t>(chunks)));
  return text;
}

std::string describe_batches(const RunFacts& run) {
  const Batching& batching = run.setup.batching;
  const std::string text =
      fmt::format("batch: {} = {} x {} x {}{}; {}, {} per epoch", batching.global_batch,
                  counted(run.ranks, "rank"), counted(batching.micro_batches, "micro-batch", "micro-batches"),
                  batching.micro_batch, run.options.run.reproducible ? ", reproducible" : "",
                  counted(run.total_steps, "step"), run.steps_per_epoch);
  const std::string statistics =
      describe_statistics(batching, run.options, run.ranks, run.setup.pool.lanes(), run.setup.needs);
  return statistics.empty() ? text : fmt::format("{}\nbatch norm: {}", text, statistics);
}

}  // namespace

std::string describe_outputs(const Graph& graph) {
  if (!graph.has_loss_weights()) return "";
  std::string text;
  for (const Graph::Output& output : graph.outputs())
    text += fmt::format("{}{} ({}loss x {})", text.empty() ? "outputs: " : ", ", output.name,
                        text.empty() ? "main, " : "", output.weight);
  return text;
}

std::string describe_run(const RunFacts& run) {
  std::vector<std::string> lines = {describe_data(run.options, run.data, run.order), describe_task(run),
                                    describe_model(run)};
  if (const std::string augmentation = run.setup.step.augmenter().describe(); !augmentation.empty())
    lines.push_back(fmt::format("augmentation of training samples: {}", augmentation));
  if (const std::string outputs = describe_outputs(run.setup.graph); !outputs.empty())
    lines.push_back(outputs);
  const std::string tuning = describe_tuning(run.initial, run.setup.graph, run.setup.parameters.layout());
  if (!tuning.empty()) lines.push_back(tuning);
  if (run.setup.tuner) lines.push_back("autotune: " + run.setup.tuner->describe());
  if (run.ranks > 1) lines.push_back(describe_sums(run));
  lines.push_back(fmt::format("checkpoints: written in the background from {} of rank 0's memory",
                              size_text(run.snapshot_bytes)));
  lines.push_back(describe_memory(run));
  lines.push_back(describe_batches(run));
  return fmt::format("{}", fmt::join(lines, "\n"));
}

}  // namespace lockstep

#include "src/train/run/run_findings.h"

#include "src/train/run/train_data.h"

namespace lockstep {

std::string describe_task(const TrainOptions& options, const Task& task,
                          const std::optional<SourceFacts>& facts) {
  const DataSignature& data = task.data();
  const bool values = data.target_kind == TargetKind::values;
  std::string text = "task: " + task_in_words(data.target_kind, task.outputs());
  if (options.task == TargetTask::automatic && options.loss == Loss::automatic && options.classes == 0)
    text += fmt::format(" ({}if they are {}, set data.task = \"{}\")",
                        facts && facts->whole_floats ? "the floats are whole numbers of few values; " : "",
                        values ? "classes" : "numbers to predict", values ? "classes" : "values");
  text +=
      fmt::format("\nsamples: {} {}, read as {}", to_string(data.x_shape),
                  facts ? facts->x_stored.name : to_string(data.x_dtype), axes_in_words(task.input_shape()));
  // The order of two axes is nobody's question, and a vector has none.
  if (data.x_shape.rank() >= 3)
    text +=
        fmt::format(" (data.layout = \"{}\")", options.channels_first ? "channels_first" : "channels_last");
  return text;
}

std::vector<Finding> run_findings(const TrainOptions& options, const std::optional<SourceFacts>& facts,
                                  int64_t samples, const Batching& batching) {
  std::vector<Finding> found;
  if (facts)
    found = findings_of(*facts, {.scaled = options.normalize.kind != Normalize::Kind::unit,
                                 .channels_first = options.channels_first,
                                 .task = target_task(options),
                                 .classes = options.classes});
  if (batching.global_batch >= 2 * samples) {
    const double padding = 1 - static_cast<double>(samples) / static_cast<double>(batching.global_batch);
    found.push_back(
        {fmt::format("train.global_batch = {} is far above the {} training samples: {:.0f} % of what "
                     "each step computes is padding. Set train.global_batch to {} or less",
                     batching.global_batch, samples, 100 * padding, samples),
         "train.global_batch"});
  }
  return found;
}

}  // namespace lockstep

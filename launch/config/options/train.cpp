#include <vector>

#include "launch/config/options/build_option.h"
#include "launch/config/options/sections.h"

namespace lockstep::options {

void add_train(std::vector<Option>& table) {
  table.push_back(with("train.steps", {"0"},
                       integer("train.epochs", FIELD(train.epochs), 1, "passes over the training data")));
  table.push_back(integer("train.steps", FIELD(train.steps), 0, "stop after N steps; 0: after train.epochs"));
  table.push_back(
      integer("train.global_batch", FIELD(train.global_batch), 1, "samples per step, over all ranks"));
  table.push_back(
      integer("train.micro_batch", FIELD(train.micro_batch), 0, "samples computed together; 0: automatic"));
  table.push_back(free_on_resume(integer("train.accumulation", FIELD(train.accumulation), 0,
                                         "micro-batches per rank and step; 0: follows from the two above")));
  table.push_back(one_of(
      "train.loss", FIELD(train.loss),
      {"auto", "cross_entropy", "binary_cross_entropy", "mean_squared_error", "mean_absolute_error", "huber"},
      "auto: cross-entropy for classes, binary cross-entropy for labels, mean squared "
      "error for values; naming one also sets data.task"));
  table.push_back(with(kTargets, {"classes"},
                       below_one("train.label_smoothing", FIELD(train.label_smoothing),
                                 "fraction of each label spread over all classes")));
  table.push_back(
      with(kTargets, {"classes"},
           {.key = "train.class_weights",
            .type = "none | balanced | [one number a class]",
            .help = "weight of each class in the loss; balanced: inversely proportional to its frequency in "
                    "data.train",
            .set = [](Config& config,
                      const GivenValue& given) { config.train.class_weights = read_class_weights(given); },
            .get = [](const Config& config) { return toml_text(config.train.class_weights); }}));
  table.push_back(
      with(kTargets, {"classes"},
           {.key = "train.ignore_label",
            .type = "none | integer",
            .help = "targets with this label are left out of the loss and the metrics",
            .set = [](Config& config,
                      const GivenValue& given) { config.train.ignore_label = read_ignore_label(given); },
            .get = [](const Config& config) { return ignore_label_text(config.train.ignore_label); }}));
  table.push_back(
      with(kTargets, {"labels"},
           {.key = "train.pos_weight",
            .type = "number | [one number a label]",
            .help = "weight of positive targets in binary cross-entropy",
            .set = [](Config& config,
                      const GivenValue& given) { config.train.pos_weight = read_positive_weights(given); },
            .get = [](const Config& config) { return positive_weights_text(config.train.pos_weight); }}));
  table.push_back(with(
      "train.loss", {"huber"},
      positive("train.huber_delta", FIELD(train.huber_delta), "error above which the Huber loss is linear")));
  table.push_back(free_on_resume(
      {.key = "train.metrics",
       .type = "auto | [names]",
       .help = "metrics of validation, test and eval (docs/objectives.md); auto: accuracy for classes, "
               "accuracy and f1 for labels, mae and r2 for values",
       .set = [](Config& config, const GivenValue& given) { config.train.metrics = read_metrics(given); },
       .get = [](const Config& config) { return metrics_text(config.train.metrics); }}));
  table.push_back(flag("train.sync_batch_norm", FIELD(train.sync_batch_norm),
                       "batch norm statistics over all ranks and threads"));
  table.push_back(
      free_on_resume(scalar("train.recompute", "none | blocks | NAME | [NAME, ...]",
                            "activations to compute again for backward rather than keep: those of "
                            "every block of the model, or of the layers and blocks named (with *)",
                            FIELD(train.recompute), read_names)));
  table.push_back(not_negative("train.clip_norm", FIELD(optimizer.clip_norm),
                               "maximum global norm of the gradients; 0: no clipping"));
  table.push_back(free_on_resume(one_of("train.on_nan", FIELD(train.on_nan), {"stop", "skip"},
                                        "on a non-finite loss or gradient: stop the run, or skip the step")));
  table.push_back(
      {.key = "train.early_stop",
       .type = "false | { metric, patience, min_delta }",
       .help = "stop when the metric has not improved by min_delta for patience epochs",
       .set = [](Config& config, const GivenValue& given) { set_early_stop(config.train.early_stop, given); },
       .get = [](const Config& config) { return toml_text(config.train.early_stop); }});
}

}  // namespace lockstep::options

#include <vector>

#include "launch/config/options/build_option.h"
#include "launch/config/options/sections.h"
#include "launch/config/values/lists.h"
#include "launch/config/values/loss_values.h"
#include "launch/config/values/metric_values.h"

namespace lockstep::options {

void add_train(std::vector<Option>& table) {
  table.push_back(with("train.steps", {"0"},
                       integer("train.epochs", FIELD(train.epochs), 1,
                               "passes over the training set; unused if train.steps is set")));
  table.push_back(
      integer("train.steps", FIELD(train.steps), 0, "stop after N steps; 0: after train.epochs epochs"));
  table.push_back(integer("train.global_batch", FIELD(train.global_batch), 1,
                          "global batch: samples per step, over all ranks"));
  table.push_back(integer("train.micro_batch", FIELD(train.micro_batch), 0,
                          "micro-batch: samples per forward and backward pass; 0: automatic"));
  table.push_back(
      free_on_resume(integer("train.accumulation", FIELD(train.accumulation), 0,
                             "gradient accumulation: micro-batches per rank and step; 0: derived from "
                             "train.global_batch and train.micro_batch")));
  table.push_back(one_of(
      "train.loss", FIELD(train.loss),
      {"auto", "cross_entropy", "binary_cross_entropy", "mean_squared_error", "mean_absolute_error", "huber"},
      "loss function, which also sets data.task; auto: cross-entropy for classes, binary cross-entropy for "
      "labels, mean squared error for values"));
  table.push_back(
      with(kTargets, {"classes"},
           below_one("train.label_smoothing", FIELD(train.label_smoothing),
                     "fraction of each target's probability that is spread evenly over all classes; 0: no "
                     "smoothing")));
  table.push_back(
      with(kTargets, {"classes"},
           {.key = "train.class_weights",
            .type = "none | balanced | [NUMBER, ...]",
            .help = "weight of each class in the loss, one number per class; balanced: inversely "
                    "proportional to the frequency of the class in data.train; none: 1",
            .set = [](Config& config,
                      const GivenValue& given) { config.train.class_weights = read_class_weights(given); },
            .get = [](const Config& config) { return toml_text(config.train.class_weights); }}));
  table.push_back(
      with(kTargets, {"classes"},
           {.key = "train.ignore_label",
            .type = "none | integer",
            .help = "exclude targets with this label from the loss and the metrics",
            .set = [](Config& config,
                      const GivenValue& given) { config.train.ignore_label = read_ignore_label(given); },
            .get = [](const Config& config) { return ignore_label_text(config.train.ignore_label); }}));
  table.push_back(
      with(kTargets, {"labels"},
           {.key = "train.pos_weight",
            .type = "number | [NUMBER, ...]",
            .help = "weight of positive targets in binary cross-entropy, one for all labels or one per "
                    "label",
            .set = [](Config& config,
                      const GivenValue& given) { config.train.pos_weight = read_positive_weights(given); },
            .get = [](const Config& config) { return positive_weights_text(config.train.pos_weight); }}));
  table.push_back(with("train.loss", {"huber"},
                       positive("train.huber_delta", FIELD(train.huber_delta),
                                "absolute error above which the Huber loss is linear instead of quadratic")));
  table.push_back(free_on_resume(
      {.key = "train.metrics",
       .type = "auto | [NAME, ...]",
       .help = "metrics reported by validation, test and eval, listed in docs/objectives.md; auto: "
               "accuracy for classes, accuracy and perplexity for tokens, accuracy and f1 for labels, mae "
               "and r2 for values",
       .set = [](Config& config, const GivenValue& given) { config.train.metrics = read_metrics(given); },
       .get = [](const Config& config) { return metrics_text(config.train.metrics); }}));
  table.push_back(flag("train.sync_batch_norm", FIELD(train.sync_batch_norm),
                       "compute batch norm statistics over all ranks and threads instead of over one "
                       "micro-batch"));
  table.push_back(free_on_resume(
      scalar("train.recompute", "none | blocks | NAME | [NAME, ...]",
             "activations to recompute in the backward pass instead of keeping them in memory: those of "
             "every block of the model (blocks), or of the named layers and blocks (* matches any "
             "characters)",
             FIELD(train.recompute), read_names)));
  table.push_back(
      not_negative("train.clip_norm", FIELD(optimizer.clip_norm),
                   "maximum global norm of the gradients, which are scaled down to it; 0: no clipping"));
  table.push_back(free_on_resume(
      one_of("train.on_nan", FIELD(train.on_nan), {"stop", "skip"},
             "on a non-finite loss or gradient: stop the run, or skip the step and stop after 10 such steps "
             "in a row")));
  table.push_back(
      {.key = "train.early_stop",
       .type = "false | { metric, patience, min_delta }",
       .help = "stop when metric (default: validation_loss) has not improved by more than min_delta (0) for "
               "patience (5) epochs; false: never",
       .set = [](Config& config, const GivenValue& given) { set_early_stop(config.train.early_stop, given); },
       .get = [](const Config& config) { return toml_text(config.train.early_stop); }});
}

}  // namespace lockstep::options

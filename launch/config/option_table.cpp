#include "launch/config/option_table.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "io/dataset/label_counts.h"
#include "launch/config/composite_values.h"
#include "launch/config/familiar_names.h"
#include "launch/config/model_keys.h"
#include "src/core/suggest.h"
#include "src/optim/update_rules.h"

namespace lockstep {

namespace {

/// What a field is in TOML: every integer is 64 bits wide.
template <typename T, typename U = std::remove_cvref_t<T>>
using Toml = std::conditional_t<std::is_integral_v<U> && !std::is_same_v<U, bool>, int64_t, U>;

/// A key whose value is read by `read` and stored in the field; `field` is called with Config& or const
/// Config&.
template <typename Field, typename Read>
Option scalar(const char* key, std::string type, const char* help, Field field, Read read) {
  return {
      .key = key,
      .type = std::move(type),
      .help = help,
      .set = [=](Config& config, const GivenValue& given) { field(config) = read(given); },
      .get = [=](const Config& config) { return toml_text(Toml<decltype(field(config))>(field(config))); }};
}

template <typename Field>
Option flag(const char* key, Field field, const char* help) {
  return scalar(key, "true | false", help, field, read_flag);
}

template <typename Field>
Option text(const char* key, Field field, const char* help) {
  return scalar(key, "text", help, field, read_text);
}

template <typename Field>
Option path(const char* key, Field field, const char* help) {
  return scalar(key, "path", help, field, read_path);
}

template <typename Field>
Option choice(const char* key, Field field, std::vector<std::string> choices, const char* help) {
  const std::string type = fmt::format("{}", fmt::join(choices, " | "));
  return scalar(key, type, help, field, [choices](const GivenValue& given) {
    std::string value = read_text(given);
    if (std::find(choices.begin(), choices.end(), value) == choices.end())
      given.reject("unknown value '{}'{}", value, suggestion(value, choices, value_synonyms(given.key)));
    return value;
  });
}

/// A field of an enumeration whose values, from 0, have these names.
template <typename Field>
Option one_of(const char* key, Field field, std::vector<std::string> names, const char* help) {
  using Value = std::remove_cvref_t<decltype(field(std::declval<Config&>()))>;
  return {.key = key,
          .type = fmt::format("{}", fmt::join(names, " | ")),
          .help = help,
          .set =
              [=](Config& config, const GivenValue& given) {
                const std::string name = read_text(given);
                const auto found = std::find(names.begin(), names.end(), name);
                if (found == names.end())
                  given.reject("unknown value '{}'{}", name,
                               suggestion(name, names, value_synonyms(given.key)));
                field(config) = static_cast<Value>(found - names.begin());
              },
          .get = [=](const Config& config) { return toml_text(names[static_cast<size_t>(field(config))]); }};
}

/// An integer from `least` to `most`.
template <typename Field>
Option integer(const char* key, Field field, int64_t least, int64_t most, const char* help) {
  using Value = std::remove_cvref_t<decltype(field(std::declval<Config&>()))>;
  return scalar(key, "integer", help, field, [least, most](const GivenValue& given) {
    const int64_t value = read_integer(given);
    if (value < least) given.reject("must be at least {}, is {}", least, value);
    if (value > most) given.reject("must be at most {}, is {}", most, value);
    if (!std::in_range<Value>(value)) given.reject("{} is too large", value);
    return static_cast<Value>(value);
  });
}

template <typename Field>
Option integer(const char* key, Field field, int64_t least, const char* help) {
  return integer(key, field, least, std::numeric_limits<int64_t>::max(), help);
}

enum class Edge { open, closed };  ///< whether a bound itself is allowed

/// A number between `least` and `most`.
template <typename Field>
Option number(const char* key, Field field, double least, Edge least_edge, double most, Edge most_edge,
              const char* help) {
  return scalar(key, "number", help, field, [=](const GivenValue& given) {
    const double value = read_number(given);
    if (value < least || (value == least && least_edge == Edge::open))
      given.reject("must be {} {}, is {}", least_edge == Edge::open ? "above" : "at least", least, value);
    if (value > most || (value == most && most_edge == Edge::open))
      given.reject("must be {} {}, is {}", most_edge == Edge::open ? "below" : "at most", most, value);
    return value;
  });
}

/// Samples in files; the field is a DataSource or an optional one.
template <typename Field>
Option source(const char* key, const char* split, const char* help, Field field) {
  return {.key = key,
          .type = "\"FILE:/GROUP\" | { files, x, y }",
          .help = help,
          .set = [=](Config& config, const GivenValue& given) { set_source(field(config), split, given); },
          .get = [=](const Config& config) { return toml_text(field(config)); }};
}

constexpr double kNoLimit = std::numeric_limits<double>::max();

template <typename Field>
Option positive(const char* key, Field field, const char* help) {
  return number(key, field, 0, Edge::open, kNoLimit, Edge::closed, help);
}

template <typename Field>
Option not_negative(const char* key, Field field, const char* help) {
  return number(key, field, 0, Edge::closed, kNoLimit, Edge::closed, help);
}

template <typename Field>
Option below_one(const char* key, Field field, const char* help) {
  return number(key, field, 0, Edge::closed, 1, Edge::open, help);
}

Option free_on_resume(Option option) {
  option.free_on_resume = true;
  return option;
}

/// A key that is used only with these values of another.
Option with(const char* key, std::vector<std::string> values, Option option) {
  option.used_with.push_back({key, std::move(values)});
  return option;
}

/// 0, or seconds of which a rank's signs of life, four in each, are not many too few.
double read_timeout(const GivenValue& given) {
  const double seconds = read_number(given);
  if (seconds != 0 && !(seconds >= 2)) given.reject("must be 0 or at least 2, is {}", seconds);
  return seconds;
}

/// The field of a key: a path of members from the config, as a callable for both Config& and const Config&.
#define FIELD(path) \
  [](auto& config) -> auto& { return config.path; }

void add_run(std::vector<Option>& table) {
  table.push_back(free_on_resume(text("run.name", FIELD(run.name), "name of the run folder: runs/NAME")));
  table.push_back(free_on_resume(
      path("run.dir", FIELD(run.dir), "run folder; default: runs/NAME in the current folder")));
  table.push_back(integer("run.seed", FIELD(run.seed), 0, "seed of initial weights, data order and dropout"));
  table.push_back(flag("run.reproducible", FIELD(run.reproducible),
                       "same bits on 1, 2, 4, ... ranks and any number of threads"));
  table.push_back(free_on_resume(choice("run.device", FIELD(run.device), {"auto", "cpu", "cuda"},
                                        "auto: one GPU per rank if there are enough, else the CPU")));
  Option precision =
      text("run.precision", FIELD(run.precision), "precision of weights, activations and gradients");
  precision.type = "fp32";
  precision.set = [](Config& config, const GivenValue& given) {
    config.run.precision = read_text(given);
    if (config.run.precision == "tf32" || config.run.precision == "bf16" || config.run.precision == "fp16")
      given.reject("this version computes in fp32 only; remove the key or set it to \"fp32\"");
    if (config.run.precision != "fp32")
      given.reject(
          "unknown value '{}'{}", config.run.precision,
          suggestion(config.run.precision, std::vector<std::string>{"fp32"}, value_synonyms(given.key)));
  };
  table.push_back(precision);
  table.push_back(free_on_resume(
      integer("run.threads", FIELD(run.threads), 0,
              "CPU threads per rank; 0: the available cores, divided by the ranks of the machine")));
  table.push_back(free_on_resume(flag("run.capture", FIELD(run.capture),
                                      "capture the step once as a CUDA graph and replay it (GPU only)")));
  table.push_back(free_on_resume(
      not_negative("run.wall_time_minutes", FIELD(run.wall_time_minutes),
                   "save and exit with 75 before this many minutes pass; 0: the Slurm job's limit")));
}

void add_data(std::vector<Option>& table) {
  table.push_back(
      source("data.train", "train", "training samples; default: generated digits", FIELD(data.train)));
  table.push_back(source("data.validation", "validation", "samples to evaluate after every epoch",
                         FIELD(data.validation)));
  table.push_back(source("data.test", "test", "samples to evaluate once, at the end", FIELD(data.test)));
  table.push_back(with("data.validation", {""},
                       below_one("data.validation_split", FIELD(data.validation_split),
                                 "fraction of data.train held out for validation")));
  table.push_back(
      {.key = "data.normalize",
       .type = "unit | none | { mean, std }",
       .help = "unit: uint8 / 255; none: as stored; { mean, std }: unit, then (x - mean) / std per channel",
       .set = [](Config& config, const GivenValue& given) { config.data.normalize = read_normalize(given); },
       .get = [](const Config& config) { return toml_text(config.data.normalize); }});
  table.push_back(
      one_of("data.task", FIELD(data.task), {"auto", "classes", "labels", "values", "tokens"},
             "what the targets are: one class per sample or position, several labels of 0 and 1, values to "
             "predict, or the next token (not supported yet); auto: inferred from the data"));
  table.push_back(with(kTargets, {"classes"},
                       integer("data.classes", FIELD(data.classes), 0, kMaxClasses,
                               "number of classes; 0: the largest label of data.train, plus 1")));
  table.push_back(one_of("data.layout", FIELD(data.layout), {"channels_last", "channels_first"},
                         "axis order of samples with channels"));
  table.push_back(free_on_resume(scalar("data.memory_budget", "bytes",
                                        "memory per rank for a data set; a larger one is streamed",
                                        FIELD(data.memory_budget), read_bytes)));
}

void add_model(std::vector<Option>& table) {
  table.push_back(
      text("model.name", FIELD(model.name), "built-in model with its own keys (lockstep model list)"));
  table.back().set = [](Config& config, const GivenValue& given) {
    config.model.name = known_model(given);
    config.model.file.clear();
  };
  table.push_back(path("model.file", FIELD(model.file), "model file, in place of a built-in model"));
  table.back().set = [](Config& config, const GivenValue& given) {
    config.model.file = read_path(given);
    if (!config.model.file.empty()) config.model.name.clear();
  };
  table.push_back(
      path("model.init_from", FIELD(init_from),
           "run folder or checkpoint from which a new run takes parameters and running statistics, "
           "by name; what is missing there or has another shape keeps its initialization"));
}

/// A number or switch of update rules: its help says of which.
Option option_of_rules(const Hyperparameter& described) {
  const std::vector<std::string> rules =
      rules_where([&](const UpdateRule& rule) { return rule.has(described); });
  const std::string key = std::string("optimizer.") + described.key;
  Option option = std::visit(
      [&]<typename T>(const HyperparameterField<T>& of) {
        const auto field = [of](auto& config) -> auto& { return config.optimizer.*of.spec; };
        if constexpr (std::is_same_v<T, bool>) {
          return flag(key.c_str(), field, "");
        } else {
          const NumberRange& range = described.range;
          const bool has_end = std::isfinite(range.end);
          return number(key.c_str(), field, range.min, range.includes_min ? Edge::closed : Edge::open,
                        has_end ? range.end : kNoLimit, has_end ? Edge::open : Edge::closed, "");
        }
      },
      described.field);
  const std::string help = described.help;
  option.help = fmt::format("{}{}{}", fmt::join(rules, ", "), help.empty() ? "" : ": ", help);
  return with("optimizer.name", rules, std::move(option));
}

void add_optimizer(std::vector<Option>& table) {
  const std::vector<std::string> decoupled =
      rules_where([](const UpdateRule& rule) { return rule.decouples_decay; });
  table.push_back(choice("optimizer.name", FIELD(optimizer.name), optimizer_names(), "update rule"));
  table.push_back(positive("optimizer.lr", FIELD(optimizer.lr), "base learning rate"));
  for (const Hyperparameter* described : hyperparameters()) table.push_back(option_of_rules(*described));
  table.push_back(not_negative("optimizer.weight_decay", FIELD(optimizer.weight_decay), ""));
  table.back().help = fmt::format("L2 added to the gradient; decoupled in {}", fmt::join(decoupled, " and "));
  table.push_back(
      flag("optimizer.decay_all", FIELD(optimizer.decay_all), "apply weight decay to biases and norms too"));
  table.push_back(
      {.key = "optimizer.freeze",
       .type = "[PATTERN, ...]",
       .help = "parameters, layers or blocks (with *) that training leaves as they are; batch norm that is "
               "frozen as a whole uses its running statistics",
       .set = [](Config& config,
                 const GivenValue& given) { config.optimizer.tuning.freeze = read_patterns(given); },
       .get = [](const Config& config) { return patterns_text(config.optimizer.tuning.freeze); }});
  table.push_back(
      {.key = "optimizer.lr_scale",
       .type = "{ PATTERN = NUMBER, ... }",
       .help =
           "factors on the learning rate of parameters, layers or blocks (with *); of several that match, "
           "that with the most characters besides *",
       .set = [](Config& config,
                 const GivenValue& given) { set_scales(config.optimizer.tuning.lr_scale, given); },
       .get = [](const Config& config) { return toml_text(config.optimizer.tuning.lr_scale); }});
  table.push_back(free_on_resume(flag("optimizer.sharded", FIELD(optimizer.sharded),
                                      "shard the optimizer state over the ranks (ZeRO-1)")));
}

void add_schedule(std::vector<Option>& table) {
  table.push_back(choice("schedule.name", FIELD(schedule.name),
                         {"constant", "step", "exponential", "polynomial", "cosine", "one_cycle"},
                         "learning rate schedule"));
  table.push_back(integer("schedule.warmup_steps", FIELD(schedule.warmup_steps), 0,
                          "steps of linear warm-up from 0 to optimizer.lr, before the schedule"));
  table.push_back(with("schedule.name", {"polynomial", "cosine", "one_cycle"},
                       integer("schedule.steps", FIELD(schedule.steps), 0,
                               "polynomial, cosine, one_cycle: length in steps; 0: the whole run")));
  table.push_back(with("schedule.name", {"step", "exponential"},
                       positive("schedule.gamma", FIELD(schedule.gamma), "step, exponential: decay factor")));
  table.push_back(with("schedule.name", {"step", "exponential"},
                       integer("schedule.every_steps", FIELD(schedule.every_steps), 0,
                               "step, exponential: multiply by gamma every N steps")));
  table.push_back(with("schedule.name", {"polynomial"},
                       positive("schedule.power", FIELD(schedule.power), "polynomial: exponent")));
  table.push_back(with("schedule.name", {"polynomial", "cosine"},
                       not_negative("schedule.final_lr", FIELD(schedule.final_lr),
                                    "polynomial, cosine: final learning rate")));
  table.push_back(with("schedule.name", {"one_cycle"},
                       not_negative("schedule.max_lr", FIELD(schedule.max_lr),
                                    "one_cycle: peak learning rate; 0: 10 x optimizer.lr")));
}

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

void add_rest(std::vector<Option>& table) {
  table.push_back(free_on_resume(integer("checkpoint.every_epochs", FIELD(checkpoint.every_epochs), 0,
                                         "save every N epochs; 0 disables")));
  table.push_back(free_on_resume(
      integer("checkpoint.every_steps", FIELD(checkpoint.every_steps), 0, "save every N steps; 0 disables")));
  table.push_back(free_on_resume(not_negative("checkpoint.every_minutes", FIELD(checkpoint.every_minutes),
                                              "save every N minutes; 0 disables")));
  table.push_back(free_on_resume(integer("checkpoint.keep", FIELD(checkpoint.keep), 1,
                                         "newest checkpoints to keep, besides the best one")));
  table.push_back(
      free_on_resume(not_negative("checkpoint.keep_every_minutes", FIELD(checkpoint.keep_every_minutes),
                                  "also keep one older checkpoint per N minutes; 0 disables")));
  table.push_back(free_on_resume(
      {.key = "comm.bucket_mib",
       .type = "auto | number",
       .help = "size of the gradient buckets that are all-reduced; auto: from measured all-reduce times",
       .set =
           [](Config& config, const GivenValue& given) {
             if (given.raw == "auto" || given.node.value<std::string>() == "auto") {
               config.comm.bucket_bytes = 0;
               return;
             }
             const double mib = read_number(given);
             if (mib <= 0 || mib > 4096) given.reject("must be above 0 and at most 4096, is {}", mib);
             config.comm.bucket_bytes = std::max<int64_t>(1, static_cast<int64_t>(mib * 0x1p20));
           },
       .get =
           [](const Config& config) {
             const int64_t bytes = config.comm.bucket_bytes;
             return bytes == 0 ? toml_text(std::string("auto"))
                               : toml_text(static_cast<double>(bytes) / 0x1p20);
           }}));
  table.push_back(one_of("comm.gradients", FIELD(comm.gradients), {"fp32", "bf16", "fp16"},
                         "wire format of the gradients; they are always added in fp32"));
  table.push_back(free_on_resume(flag("comm.hierarchical", FIELD(comm.hierarchical),
                                      "all-reduce within each machine first, then across machines")));
  table.push_back(free_on_resume(one_of("comm.transport", FIELD(comm.transport), {"auto", "nccl", "mpi"},
                                        "auto: NCCL on GPUs; mpi: through host memory")));
  table.push_back(
      free_on_resume(integer("comm.fingerprint_steps", FIELD(comm.fingerprint_steps), 0,
                             "check every N steps that all ranks hold the same bits; 0 disables")));
  table.push_back(
      free_on_resume(scalar("comm.timeout_seconds", "number",
                            "abort when a rank makes no progress for this many seconds; 0 disables",
                            FIELD(comm.timeout_seconds), read_timeout)));
}

#undef FIELD

}  // namespace

const std::vector<Option>& option_table() {
  static const std::vector<Option> table = [] {
    std::vector<Option> all;
    add_run(all);
    add_data(all);
    add_model(all);
    add_optimizer(all);
    add_schedule(all);
    add_train(all);
    add_rest(all);
    return all;
  }();
  return table;
}

}  // namespace lockstep

#include <vector>

#include "io/dataset/targets/label_counts.h"
#include "launch/config/options/build_option.h"
#include "launch/config/options/sections.h"
#include "launch/config/values/augment_values.h"
#include "launch/config/values/data_values.h"
#include "launch/config/values/loss_values.h"

namespace lockstep::options {

namespace {

/// A source of samples; the field is a DataSource or an optional one.
template <typename Field>
Option source(const char* key, const char* split, const char* help, Field field) {
  return {.key = key,
          .type = "\"FILE:/GROUP\" | { files, x, y, ... }",
          .help = help,
          .set = [=](Config& config, const GivenValue& given) { set_source(field(config), split, given); },
          .get = [=](const Config& config) { return toml_text(field(config)); }};
}

}  // namespace

void add_data(std::vector<Option>& table) {
  table.push_back(
      source("data.train", "train", "training set; if not set: generated digits", FIELD(data.train)));
  table.push_back(source("data.validation", "validation",
                         "validation set, evaluated after every epoch; if not set: data.validation_split",
                         FIELD(data.validation)));
  table.push_back(source("data.test", "test",
                         "test set, evaluated once, at the end of the run; if not set: no test",
                         FIELD(data.test)));
  table.push_back(
      with("data.validation", {""},
           below_one("data.validation_split", FIELD(data.validation_split),
                     "fraction of data.train held out as the validation set; at least 0, below 1; 0: none")));
  const std::vector<std::string> numbers{"auto", "classes", "labels", "values"};  // not token ids
  table.push_back(with(
      "data.task", numbers,
      {.key = "data.normalize",
       .type = "unit | none | standardize | { mean, std }",
       .help = "how inputs are scaled; unit: uint8 / 255, other types as stored; none: all types as "
               "stored; standardize: (x - mean) / std per channel, of data.train; { mean, std }: unit, then "
               "(x - mean) / std per channel",
       .set = [](Config& config, const GivenValue& given) { config.data.normalize = read_normalize(given); },
       .get = [](const Config& config) { return toml_text(config.data.normalize); }}));
  table.push_back(with(
      "data.task", numbers,
      {.key = "data.augment",
       .type = "[NAME | { name, OPTION = NUMBER, ... }, ...]",
       .help = "random changes of training samples, applied in this order; evaluation uses the samples as "
               "they are",
       .set = [](Config& config, const GivenValue& given) { config.data.augment = read_augment(given); },
       .get = [](const Config& config) { return toml_text(config.data.augment); },
       .details = augment_help()}));
  table.push_back(
      one_of("data.task", FIELD(data.task), {"auto", "classes", "labels", "values", "tokens"},
             "what the targets are: one class per sample or position (classes), several labels of 0 or 1 "
             "(labels), numbers to predict (values), or the next token of sequences of token ids (tokens); "
             "auto: classes, labels or values, inferred from the data"));
  table.push_back(
      with(kTargets, {"classes"},
           integer("data.classes", FIELD(data.classes), 0, kMaxClasses,
                   "number of classes or of token ids; 0: the largest label or id in data.train plus 1")));
  table.push_back(with(
      "data.task", {"tokens"},
      integer("data.context", FIELD(data.context), 0, int64_t{1} << 30,
              "tokens: number of tokens that the network sees at once, where x (N) is one long sequence; 0: "
              "x (N, T) holds sequences")));
  table.push_back(
      with("data.task", {"tokens"},
           integer("data.stride", FIELD(data.stride), 0, int64_t{1} << 30,
                   "tokens: distance of two windows of data.context tokens in data.train; 0: side "
                   "by side")));
  table.push_back(integer("data.length", FIELD(data.length), 0, int64_t{1} << 28,
                          "length to which sequences of variable length are padded, at least that of the "
                          "longest; 0: the longest in data.train"));
  table.push_back(
      {.key = "data.buckets",
       .type = "[LENGTH, ...]",
       .help = "ascending lengths, below that of samples: sequences of variable length of data.train are "
               "padded to the smallest that holds them, in batches of their own; not set: all are padded to "
               "one length",
       .set = [](Config& config, const GivenValue& given) { config.data.buckets = read_buckets(given); },
       .get = [](const Config& config) { return toml_text(config.data.buckets); }});
  table.push_back(
      with("data.task", numbers,
           {.key = "data.missing",
            .type = "none | number",
            .help = "what missing values in x are read as: NaN, and _FillValue and missing_value of the CF "
                    "conventions; none: they are errors",
            .set = [](Config& config, const GivenValue& given) { config.data.missing = read_missing(given); },
            .get = [](const Config& config) { return missing_text(config.data.missing); }}));
  table.push_back(with("data.task", numbers,
                       one_of("data.layout", FIELD(data.layout), {"channels_last", "channels_first"},
                              "axis order in which samples with channels are stored")));
  table.push_back(
      {.key = "data.shuffle",
       .type = "auto | full | window | local | chunk | false",
       .help = "order of the training samples: any (full), random chunks of which as many as fit into "
               "data.shuffle_window are mixed (window), the same with each part of a batch taken from the "
               "same chunks in every epoch (local), random chunks one by one (chunk), or as stored (false); "
               "auto: full, or window where a full shuffle would decode chunks again and again",
       .set = [](Config& config, const GivenValue& given) { config.data.shuffle = read_shuffle(given); },
       .get = [](const Config& config) { return toml_text(config.data.shuffle); }});
  table.push_back(
      with("data.shuffle", {"auto", "window", "local"},
           scalar("data.shuffle_window", "bytes",
                  "samples that shuffle = \"window\" or \"local\" mixes at a time, in bytes or as text such "
                  "as \"256 MiB\"; 0: half of data.memory_budget",
                  FIELD(data.shuffle_window), read_bytes)));
  table.push_back(with(
      kTargets, {"classes"},
      {.key = "data.sampling",
       .type = "uniform | balanced | [NUMBER, ...]",
       .help = "how often samples of each class occur in an epoch: as in the data (uniform), equally often "
               "(balanced), or in these shares, one for each class; a class may repeat samples",
       .set = [](Config& config,
                 const GivenValue& given) { config.data.sampling = read_class_weights(given, "uniform"); },
       .get = [](const Config& config) { return toml_text(config.data.sampling, "uniform"); }}));
  table.push_back(free_on_resume(path(
      "data.stage", FIELD(data.stage),
      "folder on storage of each machine, to which the data files are copied before the run, unless their "
      "copies are there, and from which they are read; if not set: files are read where they are")));
  table.push_back(free_on_resume(one_of(
      "data.stage_part", FIELD(data.stage_part), {"all", "used"},
      "what each machine has in data.stage: all data files, copied before the run (all), or what its ranks "
      "read, which they put there when they first read it (used)")));
  table.push_back(free_on_resume(
      integer("data.threads", FIELD(data.threads), 1, 1024,
              "threads of each rank that read and decode the samples ahead, beside those that compute")));
  table.push_back(free_on_resume(
      flag("data.gpu_direct", FIELD(data.gpu_direct),
           "read training samples from contiguous data sets straight into the GPU's memory, by "
           "GPUDirect Storage (libcufile); not verified on hardware")));
  table.push_back(free_on_resume(scalar(
      "data.memory_budget", "bytes",
      "memory per rank for each data set, in bytes or as text such as \"4 GiB\"; a larger data set is "
      "streamed from its files, and the ranks of a machine together cache its chunks in that much each",
      FIELD(data.memory_budget), read_bytes)));
}

}  // namespace lockstep::options

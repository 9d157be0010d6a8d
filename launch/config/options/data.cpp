#include <vector>

#include "io/dataset/label_counts.h"
#include "launch/config/options/build_option.h"
#include "launch/config/options/sections.h"

namespace lockstep::options {

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

}  // namespace lockstep::options

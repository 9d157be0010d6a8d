#include <string>
#include <vector>

#include "launch/config/device_names.h"
#include "launch/config/options/build_option.h"
#include "launch/config/options/sections.h"

namespace lockstep::options {

void add_run(std::vector<Option>& table) {
  table.push_back(free_on_resume(
      text("run.name", FIELD(run.name), "name of the run, whose folder is runs/NAME unless run.dir is set")));
  table.push_back(free_on_resume(
      path("run.dir", FIELD(run.dir), "run folder; if not set: runs/NAME in the current folder")));
  table.push_back(
      integer("run.seed", FIELD(run.seed), 0, "seed of weight initialization, data order and dropout"));
  table.push_back(flag("run.reproducible", FIELD(run.reproducible),
                       "make results bit-identical on 1, 2, 4, ... ranks and any number of threads"));
  table.push_back(
      free_on_resume(one_of("run.device", FIELD(run.device), device_names(),
                            "where to compute; auto: one GPU per rank if there are enough, else the CPU")));
  Option precision =
      one_of("run.precision", FIELD(run.precision), precision_names(),
             "data type of weights, activations and gradients; this version supports no other");
  precision.set = [read = precision.set](Config& config, const GivenValue& given) {
    const std::string name = read_text(given);
    if (name == "tf32" || name == "bf16" || name == "fp16")
      given.reject("this version computes in fp32 only; remove the key or set it to \"fp32\"");
    read(config, given);
  };
  table.push_back(precision);
  table.push_back(free_on_resume(
      integer("run.threads", FIELD(run.threads), 0,
              "CPU threads per rank; 0: the available cores divided by the ranks on the machine")));
  table.push_back(free_on_resume(flag("run.capture", FIELD(run.capture),
                                      "capture the training step as a CUDA graph and replay it (GPU only)")));
  table.push_back(free_on_resume(
      not_negative("run.wall_time_minutes", FIELD(run.wall_time_minutes),
                   "time limit in minutes; before it is reached, the run saves a checkpoint and exits with "
                   "code 75; 0: the limit of the Slurm job, if any")));
}

}  // namespace lockstep::options

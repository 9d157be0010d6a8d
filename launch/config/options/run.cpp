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
  table.push_back(one_of("run.precision", FIELD(run.precision), precision_names(),
                         "type of activations and of the weights that layers read; master weights, gradients "
                         "and optimizer state are always fp32. tf32: as fp32, with the GPU's TF32 units"));
  table.push_back(free_on_resume(
      integer("run.threads", FIELD(run.threads), 0,
              "CPU threads per rank; 0: the available cores divided by the ranks on the machine")));
  table.push_back(free_on_resume(flag("run.capture", FIELD(run.capture),
                                      "capture the training step as a CUDA graph and replay it (GPU only)")));
  table.push_back(
      flag("run.autotune", FIELD(run.autotune),
           "time the engines for attention and for each convolution of the training step, alone and with "
           "the statistics of a batch norm behind it, and take the fastest (GPU only); two runs may choose "
           "differently, so not with run.reproducible"));
  table.push_back(free_on_resume(
      not_negative("run.wall_time_minutes", FIELD(run.wall_time_minutes),
                   "time limit in minutes; before it is reached, the run saves a checkpoint and exits with "
                   "code 75; 0: the limit of the Slurm job, if any")));
}

}  // namespace lockstep::options

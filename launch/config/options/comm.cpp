#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "launch/config/options/build_option.h"
#include "launch/config/options/sections.h"

namespace lockstep::options {

namespace {

/// 0, or at least 2 seconds: ranks report four times per second, and a few late reports are not a hang.
double read_timeout(const GivenValue& given) {
  const double seconds = read_number(given);
  if (seconds != 0 && !(seconds >= 2)) given.reject("must be 0 or at least 2, is {}", seconds);
  return seconds;
}

}  // namespace

void add_comm(std::vector<Option>& table) {
  table.push_back(free_on_resume(
      {.key = "comm.bucket_mib",
       .type = "auto | number",
       .help = "size in MiB of the gradient buckets that are all-reduced; auto: chosen from measured "
               "all-reduce times",
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
                         "data type in which gradients are sent; they are always summed in fp32"));
  table.push_back(free_on_resume(flag("comm.hierarchical", FIELD(comm.hierarchical),
                                      "all-reduce within each machine first, then across machines")));
  table.push_back(
      free_on_resume(one_of("comm.transport", FIELD(comm.transport), {"auto", "nccl", "mpi"},
                            "library of the all-reduces; auto: NCCL on GPUs, MPI on CPUs; mpi: on GPUs too, "
                            "through host memory")));
  table.push_back(
      free_on_resume(integer("comm.fingerprint_steps", FIELD(comm.fingerprint_steps), 0,
                             "every N steps, check that all ranks hold bit-identical copies of the model; 0 "
                             "disables")));
  table.push_back(free_on_resume(
      scalar("comm.timeout_seconds", "number",
             "abort when a rank makes no progress for this many seconds; at least 2; 0 disables",
             FIELD(comm.timeout_seconds), read_timeout)));
}

}  // namespace lockstep::options

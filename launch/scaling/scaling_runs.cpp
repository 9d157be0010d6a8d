#include "launch/scaling/scaling_runs.h"

#include <unistd.h>

#include <algorithm>
#include <map>

#include "launch/measure/bench_run.h"
#include "launch/process/child_process.h"
#include "src/core/counted.h"
#include "src/core/error.h"
#include "src/core/log.h"

namespace lockstep {

namespace {

nlohmann::json run_ranks(const ScalingPlan& plan, int64_t ranks, const std::vector<std::string>& arguments) {
  std::vector<std::string> command = plan.launcher;
  command.insert(command.end(), {"-n", std::to_string(ranks), own_program()});
  command.insert(command.end(), arguments.begin(), arguments.end());
  if (!plan.device.empty()) command.insert(command.end(), {"--device", plan.device});
  command.emplace_back("--json");
  return run_bench(command, arguments[0] + " " + arguments[1], counted(ranks, "rank"));
}

/// Identifies a run: with one rank, weak and strong are the same.
using RunKey = std::pair<int64_t, int64_t>;  // ranks, global batch

RunKey key_of(const ScalingPlan& plan, ScalingMode mode, int64_t ranks) {
  return {ranks, mode == ScalingMode::weak ? plan.global_batch * ranks : plan.global_batch};
}

ScalingPoint summarize(ScalingMode mode, const RunKey& key, const std::vector<nlohmann::json>& runs) {
  const auto over_runs = [&](const char* name) {
    std::vector<double> values;
    for (const nlohmann::json& run : runs) values.push_back(run[name]);
    return spread_of(values);
  };
  const nlohmann::json& first = runs.front();
  ScalingPoint point;
  point.mode = mode;
  point.ranks = key.first;
  point.global_batch = key.second;
  point.threads = first["threads"];
  point.samples_per_s = over_runs("samples_per_s");
  point.step_ms = over_runs("ms_per_step");
  point.compute_ms = over_runs("compute_ms").median;
  point.compute_spread_ms = over_runs("compute_spread_ms").median;
  point.wait_ms = over_runs("wait_ms").median;
  point.communication_ms = over_runs("communication_ms").median;
  point.bucket_bytes = first["bucket_bytes"].get<std::vector<double>>();
  point.overlap = first["overlap"];
  return point;
}

}  // namespace

std::string to_string(ScalingMode mode) { return mode == ScalingMode::weak ? "weak" : "strong"; }

std::vector<std::string> choose_launcher(const Environment& environment, int64_t max_ranks, int64_t cores) {
  if (!environment.launcher.launcher.empty())
    fail(ExitCode::usage,
         "bench scaling starts the ranks itself and was itself started by {}. Run it without, inside sbatch "
         "or salloc on a cluster.",
         environment.launcher.launcher);
  if (!environment.slurm_job.empty()) return {"srun", "--mpi=pmix"};
  // Ranks are not bound to cores: two concurrent runs would be bound to the same ones.
  std::vector<std::string> words = {"mpirun", "--bind-to", "none"};
  if (geteuid() == 0) words.emplace_back("--allow-run-as-root");
  if (max_ranks > cores) words.insert(words.end(), {"--oversubscribe", "--mca", "mpi_yield_when_idle", "1"});
  return words;
}

std::vector<ScalingPoint> run_scaling(const ScalingPlan& plan) {
  std::vector<RunKey> keys;
  for (const ScalingMode mode : plan.modes)
    for (const int64_t ranks : plan.ranks)
      if (const RunKey key = key_of(plan, mode, ranks);
          std::find(keys.begin(), keys.end(), key) == keys.end())
        keys.push_back(key);
  std::map<RunKey, std::vector<nlohmann::json>> runs;
  const int64_t total = plan.repeats * static_cast<int64_t>(keys.size());
  int64_t done = 0;
  for (int64_t repeat = 0; repeat < plan.repeats; ++repeat) {
    for (const RunKey& key : keys) {
      log_info("run {} of {}: {}, {} per step", ++done, total, counted(key.first, "rank"),
               counted(key.second, "sample"));
      std::vector<std::string> arguments = {"bench", "step"};
      arguments.insert(arguments.end(), plan.arguments.begin(), plan.arguments.end());
      arguments.insert(arguments.end(), {"--steps", std::to_string(plan.steps), "--set",
                                         "train.global_batch=" + std::to_string(key.second)});
      runs[key].push_back(run_ranks(plan, key.first, arguments)["step"]);
    }
  }
  std::vector<ScalingPoint> points;
  for (const ScalingMode mode : plan.modes)
    for (const int64_t ranks : plan.ranks) {
      const RunKey key = key_of(plan, mode, ranks);
      points.push_back(summarize(mode, key, runs[key]));
    }
  return points;
}

std::vector<MeasuredAllReduce> measure_all_reduces(const ScalingPlan& plan, double max_bytes) {
  constexpr int64_t kMin = 4096;
  // From the size of a single message to the largest bucket, or where latency no longer matters.
  const auto most = std::max<int64_t>(static_cast<int64_t>(max_bytes), 4 << 20);
  std::vector<MeasuredAllReduce> sums;
  for (const int64_t ranks : plan.ranks) {
    if (ranks == 1) continue;
    log_info("all-reduces of {} to {} bytes on {} ranks", kMin, most, ranks);
    const nlohmann::json json = run_ranks(plan, ranks,
                                          {"bench", "allreduce", "--min", std::to_string(kMin), "--max",
                                           std::to_string(most), "--factor", "4"});
    for (const nlohmann::json& row : json["results"]) {
      const auto transport = row["transport"].get<std::string>();
      const bool is_used =
          plan.reproducible ? transport == "reproducible" : transport == "mpi" || transport == "nccl";
      // The minimum, because delays by other work on the machine are not a property of the link.
      if (is_used) sums.push_back({ranks, row["bytes"], row["us_min"].get<double>() * 1e-6});
    }
  }
  return sums;
}

}  // namespace lockstep

#include <algorithm>
#include <filesystem>
#include <numeric>

#include "io/file/atomic_file.h"
#include "launch/commands/bench.h"
#include "launch/commands/command_line.h"
#include "launch/commands/program.h"
#include "launch/config/config.h"
#include "launch/config/file_format.h"
#include "launch/scaling/fabric_file.h"
#include "launch/scaling/scaling_plot.h"
#include "launch/scaling/scaling_report.h"
#include "launch/scaling/scaling_runs.h"
#include "src/core/cores.h"
#include "src/core/counted.h"
#include "src/core/error.h"
#include "src/core/log.h"

namespace lockstep {

namespace {

struct ScalingArguments {
  std::string config, device, launcher, mode, input = "28,28,1", fabric, csv, plot;
  std::vector<std::string> sets;
  std::vector<int64_t> ranks, predict;
  int64_t outputs = 10, steps = 100, repeats = 3;
  bool json = false;
};

constexpr int64_t kMaxRanks = 65536;

/// Ascending and without duplicates.
std::vector<int64_t> sorted_ranks(std::vector<int64_t> ranks) {
  std::sort(ranks.begin(), ranks.end());
  ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
  return ranks;
}

std::vector<int64_t> doublings_up_to(int64_t most) {
  std::vector<int64_t> ranks;
  for (int64_t n = 1; n <= most; n *= 2) ranks.push_back(n);
  return ranks;
}

std::vector<ScalingMode> modes_of(const std::string& mode) {
  if (mode == "weak") return {ScalingMode::weak};
  if (mode == "strong") return {ScalingMode::strong};
  return {ScalingMode::weak, ScalingMode::strong};
}

ScalingPlan plan_of(const ScalingArguments& arguments, const Environment& environment, const Config& config,
                    const std::vector<ScalingMode>& modes) {
  ScalingPlan plan;
  const auto cores = static_cast<int64_t>(usable_cores().size());
  plan.ranks = arguments.ranks.empty() ? doublings_up_to(cores) : sorted_ranks(arguments.ranks);
  plan.modes = modes;
  plan.reproducible = config.run.reproducible;
  plan.global_batch = config.train.global_batch;
  plan.steps = arguments.steps;
  plan.repeats = arguments.repeats;
  plan.device = arguments.device;
  for (const int64_t ranks : plan.ranks)
    if (modes.back() == ScalingMode::strong && plan.global_batch % ranks != 0)
      fail(ExitCode::usage,
           "train.global_batch = {} does not divide over {} ranks for strong scaling. Set another, or --mode "
           "weak.",
           plan.global_batch, ranks);
  plan.launcher = choose_launcher(environment, plan.ranks.back(), cores);
  if (!arguments.launcher.empty()) {
    std::istringstream words(arguments.launcher);
    plan.launcher.assign(std::istream_iterator<std::string>(words), {});
    if (plan.launcher.empty()) fail(ExitCode::usage, "--launcher is empty: name a program, such as mpirun.");
  }

  if (!arguments.config.empty()) plan.arguments.push_back(arguments.config);
  for (const std::string& set : arguments.sets) plan.arguments.insert(plan.arguments.end(), {"--set", set});
  plan.arguments.insert(plan.arguments.end(),
                        {"--input", arguments.input, "--outputs", std::to_string(arguments.outputs)});
  // Each rank gets the same number of threads at every point; otherwise few ranks would be faster ones.
  if (config.run.threads == 0)
    plan.arguments.insert(
        plan.arguments.end(),
        {"--set", fmt::format("run.threads={}", std::max<int64_t>(1, cores / plan.ranks.back()))});
  return plan;
}

std::vector<MeasuredStep> measured_steps(const std::vector<ScalingPoint>& points) {
  std::vector<MeasuredStep> steps;
  for (const ScalingPoint& point : points)
    steps.push_back(
        {point.ranks, point.samples_per_rank(), 1e-3 * point.compute_ms, 1e-3 * point.compute_spread_ms});
  return steps;
}

/// The model fitted to the measured ranks, and its error on each.
void fit_measured(ScalingResult& result, const ScalingPlan& plan) {
  ScalingModel known;
  // A single rank has no reason to split its gradients into buckets.
  known.bucket_bytes = std::ranges::max(result.points, {}, &ScalingPoint::ranks).bucket_bytes;
  known.overlap = result.points.front().overlap;
  known.fabric.places_per_node = std::max<int64_t>(
      1, static_cast<int64_t>(usable_cores().size()) / std::max<int64_t>(1, result.points.front().threads));
  const double largest = *std::max_element(known.bucket_bytes.begin(), known.bucket_bytes.end());
  const std::vector<MeasuredAllReduce> sums = measure_all_reduces(plan, largest);
  const std::vector<MeasuredStep> steps = measured_steps(result.points);
  result.model = fit_scaling(known, steps, sums);
  INVARIANT(result.model.has_value(), "no all-reduce was measured");
  const Link& link = result.model->fabric.inside;
  result.model_basis = fmt::format(
      "fitted to this machine, which runs {} ranks at a time: {:.3f} ms per step and {:.4f} ms per sample, "
      "standard deviation {:.1f} %; messages take {:.1f} us and {:.2f} GB/s. Predictions assume that enough "
      "ranks run at a time and have the same link.",
      known.fabric.places_per_node, 1e3 * result.model->fixed_seconds, 1e3 * result.model->seconds_per_sample,
      100 * result.model->spread, 1e6 * link.latency,
      link.seconds_per_byte > 0 ? 1e-9 / link.seconds_per_byte : 0.0);
  const auto predicted = leave_one_out(known, steps, sums);
  for (size_t i = 0; i < predicted.size(); ++i) {
    const ScalingPoint& point = result.points[i];
    if (predicted[i])
      result.held_out.push_back({point.mode, point.ranks, point.step_ms.median, 1e3 * *predicted[i]});
  }
}

void use_fabric(ScalingResult& result, const FabricFile& file, const std::string& path) {
  const Link &inside = file.fabric.inside, &between = file.fabric.between;
  result.model_basis = fmt::format(
      "{}: {} per node, {:g} GB/s and {:g} us inside, {:g} GB/s and {:g} us per GPU between nodes; {}", path,
      counted(file.fabric.ranks_per_node, "GPU"), 1e-9 / inside.seconds_per_byte, 1e6 * inside.latency,
      1e-9 / between.seconds_per_byte, 1e6 * between.latency,
      file.step ? "the step is described there too." : "the step was measured on one rank here.");
  if (file.step) {
    result.model = file.step->model;
    return;
  }
  ScalingModel known;
  known.fabric = file.fabric;
  known.bucket_bytes = result.points.front().bucket_bytes;
  known.overlap = true;
  const std::vector<MeasuredStep> steps = measured_steps(result.points);
  if (steps.empty())
    fail(ExitCode::usage,
         "--fabric {} does not describe a GPU's step, and no single rank was measured: include 1 in --ranks.",
         path);
  result.model = fit_compute(known, steps);
}

void predict(ScalingResult& result, const std::vector<int64_t>& ranks, const std::vector<ScalingMode>& modes,
             int64_t batch) {
  const ScalingModel& model = *result.model;
  for (const ScalingMode mode : modes) {
    const auto samples = [&](int64_t n) {
      return static_cast<double>(batch) / (mode == ScalingMode::strong ? static_cast<double>(n) : 1.0);
    };
    const auto speed = [&](int64_t n) {
      return samples(n) * static_cast<double>(n) / model.cost(n, samples(n)).seconds;
    };
    for (const int64_t n : ranks) {
      if (samples(n) < 1) continue;  // some ranks would have nothing to compute
      result.predictions.push_back({mode, n, samples(n), speed(n),
                                    speed(n) / speed(1) / static_cast<double>(n), model.cost(n, samples(n)),
                                    best_bucket_bytes(model.fabric, model.work(samples(n)), n)});
    }
  }
}

int run_bench_scaling(Program& program, const ScalingArguments& arguments) {
  // Results are printed at the end; until then only progress.
  log_information_to_stderr();
  if (!arguments.csv.empty()) check_file_format("--csv", arguments.csv, "CSV");
  if (!arguments.plot.empty()) check_file_format("--plot", arguments.plot, "SVG");
  const Config config = load_config(arguments.config, arguments.sets);
  std::optional<FabricFile> fabric;
  if (!arguments.fabric.empty()) fabric = read_fabric_file(arguments.fabric);
  if (fabric && arguments.predict.empty())
    fail(ExitCode::usage, "--fabric is for predictions: give the numbers of GPUs, as in --predict 8,64,512.");

  ScalingResult result;
  const bool described = fabric && fabric->step;
  // The described step has a full batch per GPU, which strong scaling does not.
  const std::vector<ScalingMode> modes =
      modes_of(arguments.mode.empty() && described ? "weak" : arguments.mode);
  ScalingPlan plan;
  if (!described || !arguments.ranks.empty()) {
    plan = plan_of(arguments, program.environment(), config, modes);
    if (!arguments.predict.empty() && !fabric && plan.ranks.size() < 2)
      fail(ExitCode::usage,
           "--predict needs runs on at least two numbers of ranks to fit a model: give --ranks 1,2, or "
           "describe GPUs with --fabric.");
    result.points = run_scaling(plan);
    result.title =
        fmt::format("{}, {} per step on one rank; {} per rank, median of {} of {}",
                    config.model.file.empty() ? config.model.name : config.model.file,
                    counted(plan.global_batch, "sample"), counted(result.points.front().threads, "thread"),
                    counted(arguments.repeats, "run"), counted(arguments.steps, "step"));
  } else {
    result.title = fmt::format("steps of {} per GPU, predicted", counted(fabric->step->samples, "sample"));
  }
  if (!arguments.predict.empty()) {
    if (fabric)
      use_fabric(result, *fabric, arguments.fabric);
    else
      fit_measured(result, plan);
    predict(result, sorted_ranks(arguments.predict), modes,
            described ? fabric->step->samples : config.train.global_batch);
  }
  if (!arguments.csv.empty()) write_text_atomically(arguments.csv, scaling_csv(result));
  if (!arguments.plot.empty()) write_text_atomically(arguments.plot, scaling_plot(result));
  if (arguments.json)
    print_json(scaling_json(result));
  else
    print_scaling(result);
  return 0;
}

}  // namespace

void add_bench_scaling(Command bench, Program& program) {
  Command command = bench.add_command("scaling", "Measure and predict steps on more ranks");
  auto arguments = std::make_shared<ScalingArguments>();
  command.add("CONFIG", arguments->config, "TOML file; its data is not read");
  const auto text = [&](const char* name, std::string& value, const char* help, const char* type) {
    return command.add(name, value, help).type(type);
  };
  const auto ranks = [&](const char* name, std::vector<int64_t>& values, const char* help) {
    command.add(name, values, help).type("N,N,...").check(whole_number(1, kMaxRanks));
  };
  const auto number = [&](const char* name, int64_t& value, const char* help) {
    command.add(name, value, help).type("N").check(whole_number(1, int64_t{1} << 32));
  };
  ranks("--ranks", arguments->ranks, "Ranks to measure; default: 1,2,4,... up to the cores");
  text("--mode", arguments->mode, "weak, strong or both", "").check(one_of_names({"weak", "strong", "both"}));
  number("--repeats", arguments->repeats, "Runs per point; default: 3");
  number("--steps", arguments->steps, "Steps per run; default: 100");
  ranks("--predict", arguments->predict, "Ranks to predict by a fitted model");
  text("--fabric", arguments->fabric, "Predict on the GPUs that this TOML file describes", "FILE");
  command.add_set(arguments->sets);
  text("--input", arguments->input, "Shape of a sample; default: 28,28,1", "H,W,C");
  number("--outputs", arguments->outputs, "Classes; default: 10");
  command.add_device(arguments->device);
  text("--launcher", arguments->launcher, "Starts the ranks when followed by -n N, such as 'srun --mpi=pmix'",
       "COMMAND");
  text("--csv", arguments->csv, "Also write a table", "FILE");
  text("--plot", arguments->plot, "Also write a plot", "FILE.svg");
  command.add_flag("--json", arguments->json, "Print JSON");
  command.footer(
      "Starts the ranks itself: with mpirun, or with srun inside a Slurm job.\n"
      "train.global_batch is the batch of one rank (weak) or of all (strong).");
  command.action(program, [&program, arguments] { return run_bench_scaling(program, *arguments); });
}

}  // namespace lockstep

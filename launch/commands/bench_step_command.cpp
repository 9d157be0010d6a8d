#include <algorithm>
#include <cmath>

#include "comm/watch/watchdog.h"
#include "launch/account/account_step.h"
#include "launch/commands/bench.h"
#include "launch/commands/command_line.h"
#include "launch/commands/program.h"
#include "launch/config/config.h"
#include "launch/config/device_names.h"
#include "launch/measure/prediction_times.h"
#include "launch/measure/random_samples.h"
#include "launch/measure/step_times.h"
#include "launch/report/report.h"
#include "launch/run/choose_device.h"
#include "launch/run/sample_shape.h"
#include "src/core/counted.h"
#include "src/core/log.h"
#include "src/device/devices.h"
#include "src/train/run/setup.h"

namespace lockstep {

namespace {

struct StepArguments {
  std::string config, device, input = "28,28,1";
  int64_t outputs = 10, steps = 200;
  std::vector<std::string> sets;
  bool predict = false, json = false, account = false;
  AccountOptions account_options;
};

void add_shares(Report& report, const StepTimes::Shares& shares) {
  report.line("of which", fmt::format("{:.3f} ms compute (standard deviation {:.3f})", shares.compute,
                                      shares.compute_spread));
  report.line("", fmt::format("{:.3f} ms wait for the slowest rank", shares.wait));
  report.line("", fmt::format("{:.3f} ms exposed communication", shares.communication));
  report.line("all-reduces",
              fmt::format("{:.3f} ms in total, exposed or hidden behind backward", shares.sums));
  report.value("compute_ms", shares.compute);
  report.value("compute_spread_ms", shares.compute_spread);
  report.value("wait_ms", shares.wait);
  report.value("communication_ms", shares.communication);
  report.value("sums_ms", shares.sums);
}

/// Input for a performance model: the all-reduces of one step, and whether they overlap backward.
void add_sums(Report& report, const std::vector<Bucket>& buckets, Exec exec) {
  Json bytes = Json::array();
  for (const Bucket& bucket : buckets) bytes.push_back(bucket.size * static_cast<int64_t>(sizeof(float)));
  report.value("bucket_bytes", bytes);
  // On the CPU the thread that all-reduces competes with those that compute.
  report.value("overlap", exec.on_cuda());
}

void add_optimizer_memory(Report& report, const std::vector<uint64_t>& of_ranks, bool sharded) {
  const auto [least, most] = std::ranges::minmax(of_ranks);
  report.line(
      "optimizer memory",
      sharded ? fmt::format("{} per rank, sharded (at least {})", readable_bytes(static_cast<int64_t>(most)),
                            readable_bytes(static_cast<int64_t>(least)))
              : fmt::format("{} per rank", readable_bytes(static_cast<int64_t>(most))));
  report.value("optimizer_bytes", of_ranks);
}

void add_setup(Report& report, const Config& config, const TrainingSetup& setup, const World& world) {
  const Batching& batching = setup.batching;
  const int64_t parameters = setup.parameters.layout().parameter_count;
  report.section("step");
  report.fact(
      "model",
      fmt::format("{}, {} parameters", config.model.file.empty() ? config.model.name : config.model.file,
                  readable_count(parameters)),
      "parameters", parameters);
  report.fact("precision", to_string(config.run.precision), "precision", to_string(config.run.precision));
  report.fact(
      "batch",
      fmt::format("{} = {} x {} x {}", batching.global_batch, counted(world.size(), "rank"),
                  counted(batching.micro_batches, "micro-batch", "micro-batches"), batching.micro_batch),
      "global_batch", batching.global_batch);
  if (setup.tuner) report.fact("autotune", setup.tuner->describe(), "autotune", setup.tuner->describe());
}

/// samples: that were computed meanwhile.
void add_energy(Report& report, const Energy& energy, int64_t samples) {
  const auto add = [&](const std::optional<double>& joules, const char* of, const char* key) {
    const double mj = 1e3 * joules.value_or(0) / static_cast<double>(samples);
    if (joules) report.line("energy", fmt::format("{:.4g} mJ per sample of the {}", mj, of));
    report.value(key, joules ? Json(mj) : Json());
  };
  add(energy.gpu, "GPU", "gpu_mj_per_sample");
  add(energy.cpu, "CPU packages", "cpu_mj_per_sample");
}

void add_energy_reasons(Report& report, const EnergyMeter& meter) {
  const auto add = [&](const std::string& reason, const char* of, const char* key) {
    if (!reason.empty()) report.line("energy", fmt::format("of the {}: not available: {}", of, reason));
    report.value(key, reason);
  };
  add(meter.gpu_reason(), "GPU", "gpu_energy_reason");
  add(meter.cpu_reason(), "CPU packages", "cpu_energy_reason");
}

/// "1,234 samples/s (1,200 to 1,250)"
void add_speed(Report& report, const Spread& ms, int64_t batch) {
  const auto samples_per_s = [&](double each) { return 1000 * static_cast<double>(batch) / each; };
  const auto text = [&](double each) { return readable_count(std::llround(samples_per_s(each))); };
  report.fact("speed", fmt::format("{} samples/s ({} to {})", text(ms.median), text(ms.max), text(ms.min)),
              "samples_per_s", samples_per_s(ms.median));
}

void add_predictions(Report& report, const PredictionTimes& times, int64_t batch) {
  report.section("prediction");
  report.fact("batch", counted(batch, "sample"), "batch", batch);
  report.fact("time",
              fmt::format("{:.3f} ms per batch, median of {} of {} ({:.3f} to {:.3f})", times.batch.median,
                          counted(times.parts, "part"), counted(times.batches_a_part, "batch", "batches"),
                          times.batch.min, times.batch.max),
              "ms_per_batch", times.batch.median);
  add_speed(report, times.batch, batch);
  add_energy(report, times.energy, times.parts * times.batches_a_part * batch);
}

int run_bench_step(Program& program, const StepArguments& arguments) {
  if (arguments.json) log_information_to_stderr();
  if (arguments.account) require_account_build();
  World& world = program.world();
  if (arguments.predict && world.size() > 1)
    fail(ExitCode::usage, "--predict times one rank, as predict computes on one, but there are {}.",
         world.size());
  const Config config = load_config(arguments.config, arguments.sets);
  const Watchdog watchdog(world, config.comm.timeout_seconds);
  const Device device =
      choose_device(world, arguments.device.empty() ? config.run.device : device_named(arguments.device));
  const Exec exec = device.exec();
  const int64_t device_bytes_before = used_device_bytes(exec);

  const Shape sample = parse_sample_shape("--input", arguments.input);
  const bool tokens = config.data.task == TargetTask::tokens;
  const DataSignature data{.x_shape = sample,
                           .x_dtype = tokens ? DType::i32 : DType::u8,
                           .target_kind = TargetKind::classes,
                           .y_shape = tokens ? sample : Shape{},
                           .outputs = arguments.outputs};
  TrainOptions options = config;
  options.comm.fingerprint_steps = 0;  // to time nothing but the step
  // The batch is random, so nothing is counted or evaluated.
  options.train.class_weights = {};
  options.train.metrics.clear();
  options.train.early_stop.reset();
  TrainingSetup setup(world, exec, options, data, model_factory(config));
  const Batching& batching = setup.batching;
  const RandomBatch random(exec, data, batching.global_batch, batching.rank_batch(), world.rank());

  Report report;
  add_setup(report, config, setup, world);
  if (arguments.account) {
    account_step(setup, random.batch(), options.optimizer.lr, arguments.account_options, report,
                 arguments.json);
    return 0;
  }

  EnergyMeter meter(bus_id_of(exec));
  const StepTimes times = time_steps(
      world, exec, setup.communicator, setup.pool.lanes(), arguments.steps, meter,
      [&](int64_t number) { setup.step.run(random.batch(), number, options.optimizer.lr); },
      [&] { setup.step.flush(); });
  const int64_t device_bytes = used_device_bytes(exec) - device_bytes_before;
  if (world.rank() != 0) return 0;

  if (const std::string text =
          describe_statistics(batching, options, world.size(), setup.pool.lanes(), setup.needs);
      !text.empty())
    report.line("batch norm", text);
  report.value("ranks", world.size());
  report.fact(
      "runs on",
      fmt::format("{}, {} per rank", to_string(exec.backend()), counted(setup.pool.lanes(), "thread")),
      "threads", setup.pool.lanes());
  report.fact("step",
              fmt::format("{:.3f} ms median of {} of {} ({:.3f} to {:.3f})", times.step.median,
                          counted(times.parts, "part"), counted(times.steps_a_part, "step"), times.step.min,
                          times.step.max),
              "ms_per_step", times.step.median);
  report.value("timed_steps", times.parts * times.steps_a_part);
  report.value("warm_up_steps", times.warm_up);
  add_shares(report, times.shares);
  add_speed(report, times.step, batching.global_batch);
  add_sums(report, setup.step.buckets(), exec);
  add_optimizer_memory(report, setup.optimizer_bytes, setup.sharding.has_value());
  if (exec.on_cuda())
    report.fact("GPU memory", fmt::format("{} beyond the CUDA context", readable_bytes(device_bytes)),
                "device_bytes", device_bytes);
  const int64_t timed_samples = times.parts * times.steps_a_part * batching.global_batch;
  if (world.size() == 1) {
    add_energy(report, times.energy, timed_samples);
    add_energy_reasons(report, meter);
  }
  if (arguments.predict) {
    const int64_t batch = setup.evaluation_batch;
    Evaluator evaluator = setup.make_evaluator({});
    add_predictions(
        report, time_predictions(evaluator, random.batch(), batch, setup.pool.lanes(), timed_samples, meter),
        batch);
  }
  report.print(arguments.json);
  return 0;
}

}  // namespace

void add_bench_step(Command bench, Program& program) {
  Command step = bench.add_command("step", "Time training steps on random data in memory");
  auto arguments = std::make_shared<StepArguments>();
  step.add("CONFIG", arguments->config, "TOML file; its data is not read");
  step.add_set(arguments->sets);
  step.add("--steps", arguments->steps, "Steps to time; default: 200")
      .type("N")
      .check(whole_number(1, int64_t{1} << 32));
  step.add("--input", arguments->input, "Shape of a sample; default: 28,28,1").type("H,W,C");
  step.add("--outputs", arguments->outputs, "Classes; default: 10")
      .type("N")
      .check(whole_number(1, int64_t{1} << 32));
  step.add_device(arguments->device);
  step.add_flag("--predict", arguments->predict, "Also time predictions of as many samples");
  step.add_flag("--json", arguments->json, "Print JSON");
  step.add_flag(
      "--account", arguments->account,
      "Predict the time of a step on a GPU from what it moves and computes; needs the build of preset "
      "account");
  AccountOptions& account = arguments->account_options;
  Ceilings& ceilings = account.ceilings;
  step.add("--memory-tb", ceilings.terabytes_per_s, "Bandwidth of the GPU's memory in TB/s; default: 4.3")
      .type("X");
  step.add("--fp32-tflop", ceilings.fp32_teraflops, "Its peak in fp32 in TFLOP/s; default: 60").type("X");
  step.add("--tf32-tflop", ceilings.tf32_teraflops, "The same in tf32; default: 400").type("X");
  step.add("--bf16-tflop", ceilings.bf16_teraflops, "The same in bf16; default: 790").type("X");
  step.add("--node-us", ceilings.node_us, "Time of each node of the graph in us; default: 1.5").type("X");
  step.add_flag("--all-blocks", account.all_blocks, "Emulate every block of every kernel: slow");
  step.action(program, [&program, arguments] { return run_bench_step(program, *arguments); });
}

}  // namespace lockstep

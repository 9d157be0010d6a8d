#include <algorithm>
#include <cmath>
#include <span>

#include "comm/watch/watchdog.h"
#include "launch/commands/bench.h"
#include "launch/commands/command_line.h"
#include "launch/commands/program.h"
#include "launch/config/config.h"
#include "launch/config/device_names.h"
#include "launch/report/report.h"
#include "launch/run/choose_device.h"
#include "launch/run/sample_shape.h"
#include "launch/scaling/step_times.h"
#include "src/core/counted.h"
#include "src/core/log.h"
#include "src/core/rng.h"
#include "src/device/devices.h"
#include "src/train/run/setup.h"

namespace lockstep {

namespace {

struct StepArguments {
  std::string config, device, input = "28,28,1";
  int64_t outputs = 10, steps = 200;
  std::vector<std::string> sets;
  bool json = false;
};

/// One rank's part of a batch of random bytes with random labels, in memory, to measure only the step.
class RandomBatch {
 public:
  RandomBatch(Exec exec, const DataSignature& data, const Batching& batching, int rank)
      : x_(exec, Memory::pinned,
           static_cast<size_t>(batching.rank_batch() * data.x_shape.elements()) * size_of(data.x_dtype)),
        y_(exec, Memory::pinned,
           static_cast<size_t>(batching.rank_batch() * data.y_shape.elements()) * sizeof(int32_t)),
        index_(exec, Memory::pinned, static_cast<size_t>(batching.rank_batch()) * sizeof(int64_t)) {
    RandomStream random(1, static_cast<uint64_t>(rank));
    const int64_t rows = batching.rank_batch();
    const auto fill_with_classes = [&](std::span<int32_t> classes) {
      for (int32_t& value : classes)
        value = static_cast<int32_t>(random.next_below(static_cast<uint32_t>(data.outputs)));
    };
    if (data.x_dtype == DType::i32)
      fill_with_classes(x_.as<int32_t>());
    else
      for (uint8_t& value : x_.as<uint8_t>()) value = static_cast<uint8_t>(random.next());
    fill_with_classes(y_.as<int32_t>());
    for (int64_t i = 0; i < rows; ++i) index_.as<int64_t>()[static_cast<size_t>(i)] = rank * rows + i;
    batch_.global_valid = batching.global_batch;
    batch_.x = Tensor(x_.data(), data.x_dtype, data.x_shape.batched(rows));
    batch_.y = Tensor(y_.data(), DType::i32, data.y_shape.batched(rows));
    batch_.sample_index = Tensor(index_.data(), DType::i64, {rows});
  }
  const Batch& batch() const { return batch_; }

 private:
  Buffer x_, y_, index_;
  Batch batch_;
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

int run_bench_step(Program& program, const StepArguments& arguments) {
  if (arguments.json) log_information_to_stderr();
  World& world = program.world();
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
  const RandomBatch random(exec, data, batching, world.rank());

  const StepTimes times = time_steps(
      world, exec, setup.communicator, setup.pool.lanes(), arguments.steps,
      [&](int64_t number) { setup.step.run(random.batch(), number, options.optimizer.lr); },
      [&] { setup.step.flush(); });
  const int64_t device_bytes = used_device_bytes(exec) - device_bytes_before;
  if (world.rank() != 0) return 0;
  const auto samples_per_s = [&](double ms) {
    return 1000 * static_cast<double>(batching.global_batch) / ms;
  };

  Report report;
  report.section("step");
  report.fact(
      "model",
      fmt::format("{}, {} parameters", config.model.file.empty() ? config.model.name : config.model.file,
                  readable_count(setup.parameters.layout().parameter_count)),
      "parameters", setup.parameters.layout().parameter_count);
  report.fact("precision", to_string(config.run.precision), "precision", to_string(config.run.precision));
  report.fact(
      "batch",
      fmt::format("{} = {} x {} x {}", batching.global_batch, counted(world.size(), "rank"),
                  counted(batching.micro_batches, "micro-batch", "micro-batches"), batching.micro_batch),
      "global_batch", batching.global_batch);
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
  add_shares(report, times.shares);
  report.fact(
      "speed",
      fmt::format("{} samples/s ({} to {})", readable_count(std::llround(samples_per_s(times.step.median))),
                  readable_count(std::llround(samples_per_s(times.step.max))),
                  readable_count(std::llround(samples_per_s(times.step.min)))),
      "samples_per_s", samples_per_s(times.step.median));
  add_sums(report, setup.step.buckets(), exec);
  add_optimizer_memory(report, setup.optimizer_bytes, setup.sharding.has_value());
  if (exec.on_cuda())
    report.fact("GPU memory", fmt::format("{} beyond the CUDA context", readable_bytes(device_bytes)),
                "device_bytes", device_bytes);
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
  step.add_flag("--json", arguments->json, "Print JSON");
  step.action(program, [&program, arguments] { return run_bench_step(program, *arguments); });
}

}  // namespace lockstep

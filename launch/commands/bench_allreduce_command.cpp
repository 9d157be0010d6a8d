#include <algorithm>
#include <chrono>
#include <cmath>

#include "comm/collectives/communicator.h"
#include "launch/commands/bench.h"
#include "launch/commands/command_line.h"
#include "launch/commands/program.h"
#include "launch/config/device_names.h"
#include "launch/measure/statistics.h"
#include "launch/process/host.h"
#include "launch/report/report.h"
#include "launch/run/choose_device.h"
#include "src/core/counted.h"
#include "src/core/error.h"
#include "src/core/log.h"
#include "src/device/buffer.h"

namespace lockstep {

namespace {

struct AllReduceArguments {
  std::string device = "auto";
  uint64_t min = 8, max = 0;  ///< bytes; max = 0: kDefaultMax, or less where that does not fit
  int64_t factor = 4, iterations = 0, repeats = 7;
  bool json = false;
};

constexpr uint64_t kDefaultMax = uint64_t{64} << 20;

/// One way to all-reduce, in place; `sum` leaves no work pending except on the device.
struct Method {
  std::string name;
  Wire wire;
  std::function<void(std::span<float>)> sum;
};

/// Measurements of one transport at one size. Times are per call on the slowest rank, averaged over the calls
/// of a repeat.
struct Row {
  std::string transport;
  int64_t bytes = 0, iterations = 0;
  Spread seconds;  ///< over the repeats
  std::optional<double>
      against_mpi;  ///< the library's time divided by this one's: median over pairs of a repeat
};

/// The maximum size: the requested one if it fits beside the scratch memory of the reproducible all-reduce
/// and of MPI.
uint64_t largest_size(World& world, const AllReduceArguments& arguments) {
  const int64_t available = std::min(host_memory("MemAvailable"), memory_limit().value_or(INT64_MAX));
  // Ranks see different amounts of memory, but must agree on the sizes.
  double most = -static_cast<double>(available / (4 * world.local_size()));
  world.max(std::span(&most, 1));
  const auto fits = static_cast<uint64_t>(-most);
  if (arguments.max > fits)
    fail(ExitCode::usage, "--max {} does not fit: {} on this machine ha{} memory for {} each.",
         readable_bytes(static_cast<int64_t>(arguments.max)), counted(world.local_size(), "rank"),
         world.local_size() == 1 ? "s" : "ve", readable_bytes(static_cast<int64_t>(fits)));
  if (arguments.max > 0) return arguments.max;
  return std::max(arguments.min, std::min(kDefaultMax, fits));
}

/// Checks that need no other rank.
void check_arguments(const AllReduceArguments& arguments) {
  if (arguments.min % sizeof(float) != 0 || arguments.min == 0)
    fail(ExitCode::usage, "--min {} must be a multiple of 4 bytes, the size of a float.", arguments.min);
  if (arguments.max != 0 && arguments.max < arguments.min)
    fail(ExitCode::usage, "--max {} is less than --min {}.", arguments.max, arguments.min);
}

std::vector<int64_t> sizes_of(World& world, const AllReduceArguments& arguments) {
  const auto max = static_cast<int64_t>(largest_size(world, arguments));
  std::vector<int64_t> sizes;
  for (auto size = static_cast<int64_t>(arguments.min); size <= max; size *= arguments.factor)
    sizes.push_back(size);
  return sizes;
}

class AllReduceBench {
 public:
  AllReduceBench(World& world, Exec exec, int64_t max_bytes)
      : world_(world), exec_(exec), buffer_(exec, Memory::device, static_cast<size_t>(max_bytes)) {
    const std::string library = exec.on_cuda() ? "nccl" : "mpi";
    add(library, {}, Wire::fp32);
    if ((world.size() & (world.size() - 1)) == 0) add("reproducible", {.reproducible = true}, Wire::fp32);
    add("bf16", {}, Wire::bf16);
    if (world.any(world.local_size() < world.size())) add("hierarchical", {.hierarchical = true}, Wire::fp32);
    if (exec.on_cuda()) add("staged", {.transport = Transport::mpi}, Wire::fp32);
    // An MPI library that is not CUDA-aware cannot access GPU memory.
    if (!exec.on_cuda())
      methods_.push_back({kPlain, Wire::fp32, [&world](std::span<float> data) { world.all_reduce(data); }});
  }

  std::vector<Row> measure(int64_t bytes, const AllReduceArguments& arguments) {
    const std::span<float> data = buffer_.as<float>().first(static_cast<size_t>(bytes) / sizeof(float));
    for (const Method& method : methods_) check(method, data);

    // Zeros, which stay zeros in any number of all-reduces.
    fill_zero(exec_, data.data(), data.size_bytes());
    const int64_t iterations = arguments.iterations > 0 ? arguments.iterations : choose_iterations(data);
    const size_t repeats = static_cast<size_t>(arguments.repeats), count = methods_.size();
    std::vector<std::vector<double>> seconds(count, std::vector<double>(repeats));
    for (size_t repeat = 0; repeat < repeats; ++repeat) {
      // In rotating order, so that a busy period of the machine affects all of them.
      for (size_t i = 0; i < count; ++i) {
        const size_t method = (i + repeat) % count;
        seconds[method][repeat] = time_calls(methods_[method], data, iterations);
      }
    }
    std::vector<Row> rows;
    for (size_t t = 0; t < count; ++t) {
      world_.max(seconds[t]);
      rows.push_back({methods_[t].name, bytes, iterations, spread_of(seconds[t]), std::nullopt});
    }
    if (methods_.back().name == kPlain) {
      for (size_t t = 0; t + 1 < count; ++t) {
        std::vector<double> ratios(repeats);
        for (size_t i = 0; i < repeats; ++i) ratios[i] = seconds.back()[i] / seconds[t][i];
        rows[t].against_mpi = spread_of(ratios).median;
      }
    }
    return rows;
  }

 private:
  static constexpr const char* kPlain = "MPI_Allreduce";

  void add(const std::string& name, const CommunicatorOptions& options, Wire wire) {
    communicators_.push_back(make_communicator(world_, exec_, options));
    Communicator& communicator = *communicators_.back();
    communicator.prepare(buffer_.as<float>(), static_cast<int64_t>(buffer_.size() / sizeof(float)));
    methods_.push_back(
        {name, wire, [this, &communicator, wire](std::span<float> data) {
           communicator.start(exec_, {Collective::Kind::all_reduce, data, wire, /*awaited=*/true});
           communicator.wait(exec_);
         }});
  }

  /// All-reduces values whose sum is known exactly.
  void check(const Method& method, std::span<float> data) {
    Buffer host(exec_, Memory::pinned, data.size_bytes());
    const std::span<float> values = host.as<float>();
    // Small integers: each is exact even in bf16, and every partial sum in fp32, in any order.
    constexpr size_t kPeriod = 61;
    constexpr int kRankPeriod = 8;
    const int ranks = world_.size(), rank = world_.rank();
    int64_t of_ranks = 0;
    for (int each = 0; each < ranks; ++each) of_ranks += each % kRankPeriod;
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>(i % kPeriod + 1) + static_cast<float>(rank % kRankPeriod);
    copy(exec_, data.data(), values.data(), data.size_bytes());
    method.sum(data);
    copy(exec_, values.data(), data.data(), data.size_bytes());
    synchronize(exec_);
    for (size_t i = 0; i < values.size(); ++i) {
      const auto expected = static_cast<float>(static_cast<int64_t>(i % kPeriod + 1) * ranks + of_ranks);
      const float rounding = method.wire == Wire::bf16 ? expected * 0x1p-8f : 0;
      if (!(std::abs(values[i] - expected) <= rounding))
        fail(ExitCode::bug,
             "{} of {} over {} ranks gave {} instead of {} at element {}: the library or a link is faulty.",
             method.name, readable_bytes(static_cast<int64_t>(data.size_bytes())), ranks, values[i], expected,
             i);
    }
  }

  /// Seconds of one call on this rank.
  double time_calls(const Method& method, std::span<float> data, int64_t iterations) {
    using Clock = std::chrono::steady_clock;
    world_.barrier();
    const Clock::time_point start = Clock::now();
    for (int64_t i = 0; i < iterations; ++i) method.sum(data);
    synchronize(exec_);
    return std::chrono::duration<double>(Clock::now() - start).count() / static_cast<double>(iterations);
  }

  /// The number of iterations with which a repeat of the slowest transport takes about 10 ms.
  int64_t choose_iterations(std::span<float> data) {
    double slowest = 1e-9;
    for (const Method& method : methods_) slowest = std::max(slowest, time_calls(method, data, 2));
    world_.max(std::span(&slowest, 1));
    return std::clamp<int64_t>(std::llround(0.01 / slowest), 1, 10000);
  }

  World& world_;
  Exec exec_;
  Buffer buffer_;
  std::vector<std::unique_ptr<Communicator>> communicators_;
  std::vector<Method> methods_;
};

/// GB/s as defined by nccl-tests (its doc/PERFORMANCE.md): algbw = bytes / time, and busbw = algbw *
/// 2(n-1)/n, which is comparable to the speed of the links for any number of ranks.
double algorithm_bandwidth(const Row& row) {
  return static_cast<double>(row.bytes) / row.seconds.median / 1e9;
}
double bus_bandwidth(const Row& row, int ranks) { return algorithm_bandwidth(row) * 2 * (ranks - 1) / ranks; }

void print_rows(const std::vector<Row>& rows, int ranks) {
  std::vector<std::vector<std::string>> table = {
      {"size", "transport", "us/call", "min", "max", "algbw", "busbw", "vs MPI"}};
  for (const Row& row : rows)
    table.push_back(
        {readable_bytes(row.bytes), row.transport, fmt::format("{:.2f}", row.seconds.median * 1e6),
         fmt::format("{:.2f}", row.seconds.min * 1e6), fmt::format("{:.2f}", row.seconds.max * 1e6),
         fmt::format("{:.3f}", algorithm_bandwidth(row)), fmt::format("{:.3f}", bus_bandwidth(row, ranks)),
         row.against_mpi ? fmt::format("{:.2f}x", *row.against_mpi) : ""});
  print_table(table, {true, false, true, true, true, true, true, true});
}

Json json_of(const Row& row, int ranks) {
  Json json = {{"bytes", row.bytes},
               {"transport", row.transport},
               {"iterations", row.iterations},
               {"us_median", row.seconds.median * 1e6},
               {"us_min", row.seconds.min * 1e6},
               {"us_max", row.seconds.max * 1e6},
               {"algbw_gb_s", algorithm_bandwidth(row)},
               {"busbw_gb_s", bus_bandwidth(row, ranks)}};
  if (row.against_mpi) json["speed_against_mpi"] = *row.against_mpi;
  return json;
}

int run_bench_allreduce(Program& program, const AllReduceArguments& arguments) {
  check_arguments(arguments);
  if (arguments.json) log_information_to_stderr();
  World& world = program.world();
  if (world.size() == 1)
    fail(ExitCode::usage,
         "bench allreduce measures communication between ranks, but only one rank was started. Start "
         "several: mpirun -np 2 lockstep bench allreduce.");
  const std::vector<int64_t> sizes = sizes_of(world, arguments);
  const Device device = choose_device(world, device_named(arguments.device));
  AllReduceBench bench(world, device.exec(), sizes.back());
  std::vector<Row> rows;
  for (const int64_t bytes : sizes) {
    const std::vector<Row> more = bench.measure(bytes, arguments);
    rows.insert(rows.end(), more.begin(), more.end());
  }
  if (world.rank() != 0) return 0;

  if (arguments.json) {
    Json results = Json::array();
    for (const Row& row : rows) results.push_back(json_of(row, world.size()));
    print_json({{"ranks", world.size()},
                {"backend", to_string(device.exec().backend())},
                {"repeats", arguments.repeats},
                {"results", results}});
    return 0;
  }
  print_text("all-reduce of floats over {} on {}, in place; median of {}, GB/s\n\n",
             counted(world.size(), "rank"), to_string(device.exec().backend()),
             counted(arguments.repeats, "repeat"));
  print_rows(rows, world.size());
  print_text("\nEvery result was checked. algbw = size / time; busbw = algbw x 2(n-1)/n.\n");
  return 0;
}

}  // namespace

void add_bench_allreduce(Command bench, Program& program) {
  Command command = bench.add_command("allreduce", "Time all-reduces over the ranks");
  auto arguments = std::make_shared<AllReduceArguments>();
  command.add_size("--min", arguments->min, "Minimum size: 8, 64K, 1M or 1GiB; default: 8");
  command.add_size("--max", arguments->max, "Maximum size; default: 64M, if that fits");
  const auto number = [&](const char* name, int64_t& value, int64_t min, const char* help) {
    command.add(name, value, help).type("N").check(whole_number(min, int64_t{1} << 20));
  };
  number("--factor", arguments->factor, 2, "Ratio of each size to the previous one; default: 4");
  number("--iterations", arguments->iterations, 1, "Calls per repeat; default: about 10 ms of them");
  number("--repeats", arguments->repeats, 1, "Repeats, for median, min and max; default: 7");
  command.add_device(arguments->device);
  command.add_flag("--json", arguments->json, "Print JSON");
  command.footer("Start it on several ranks: mpirun -np 2 lockstep bench allreduce");
  command.action(program, [&program, arguments] { return run_bench_allreduce(program, *arguments); });
}

}  // namespace lockstep

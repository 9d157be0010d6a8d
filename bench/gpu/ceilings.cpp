// Measures what the account of a step assumes of a GPU (launch/account/ceilings.h), on the GPU of this
// machine: the bandwidth of its memory, the rates of matrix products, and the time to start a node of a
// graph.
//   build/.../bench/gpu/gpu_ceilings [--device cuda|cpu] [--small]
// Prints a line of JSON for each as soon as it is measured. --small: tiny sizes, to try the program out.
#include "launch/account/ceilings.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "bench/gpu/random_values.h"
#include "src/core/error.h"
#include "src/core/text/json.h"
#include "src/device/device.h"
#include "src/device/elementwise.h"
#include "src/device/replay.h"
#include "src/device/timestamp.h"
#include "src/ops/matmul/matmul.h"

namespace lockstep {
namespace {

struct Sizes {
  size_t copied_bytes = size_t{4} << 30;  // much more than the L2 cache
  size_t uploaded_bytes = size_t{1} << 28;
  int64_t matrix = 8192;
  int nodes = 1000;
  int calls = 10;  ///< in a round
};
constexpr Sizes kSmall = {
    .copied_bytes = 1 << 16, .uploaded_bytes = 1 << 16, .matrix = 64, .nodes = 20, .calls = 2};

/// The median, over five rounds, of the seconds that a call of `enqueue` takes on the device.
double seconds_of(Exec exec, int calls, const std::function<void()>& enqueue) {
  Timestamp start(exec), end(exec);
  for (int i = 0; i < 3; ++i) enqueue();
  std::array<double, 5> seconds{};
  for (double& each : seconds) {
    start.record(Timestamp::Of::compute);
    for (int i = 0; i < calls; ++i) enqueue();
    end.record(Timestamp::Of::compute);
    synchronize(exec);
    each = end.seconds_since(start) / calls;
  }
  std::ranges::sort(seconds);
  return seconds[2];
}

/// assumed: by the account; 0 if it assumes nothing of this.
void print(const char* what, const char* unit, double measured, double assumed) {
  const nlohmann::ordered_json line = {
      {"what", what},
      {"unit", unit},
      {"measured", measured},
      {"assumed", assumed == 0 ? nlohmann::ordered_json() : nlohmann::ordered_json(assumed)}};
  std::puts(to_text(line).c_str());
  std::fflush(stdout);
}

void measure_memory(Exec exec, const Sizes& sizes, double assumed_tb_per_s) {
  const auto count = static_cast<int64_t>(sizes.copied_bytes / sizeof(float));
  const Buffer a = random_values<float>(exec, count), b = random_values<float>(exec, count);
  const auto bytes = static_cast<double>(sizes.copied_bytes);
  double seconds = seconds_of(exec, sizes.calls, [&] { copy(exec, b.data(), a.data(), sizes.copied_bytes); });
  print("copy in GPU memory, read and written", "TB/s", 2 * bytes / seconds / 1e12, assumed_tb_per_s);
  seconds = seconds_of(exec, sizes.calls,
                       [&] { add_in_place(exec, b.as<float>().data(), a.as<float>().data(), count); });
  print("Lockstep's own kernel y += x, read and written", "TB/s", 3 * bytes / seconds / 1e12,
        assumed_tb_per_s);
  const Buffer host(exec, Memory::pinned, sizes.uploaded_bytes);
  seconds = seconds_of(exec, sizes.calls, [&] { copy(exec, b.data(), host.data(), sizes.uploaded_bytes); });
  print("copy from page-locked host memory", "GB/s",
        static_cast<double>(sizes.uploaded_bytes) / seconds / 1e9, 0);
}

template <typename T>
void measure_product(Exec exec, const Sizes& sizes, const char* what, bool tf32, double assumed_teraflops) {
  const int64_t n = sizes.matrix;
  const DType type = dtype_of<T>();
  Matmul matmul(exec,
                {.m = n, .n = n, .k = n, .transpose_b = true, .type = type, .result = type, .tf32 = tf32});
  const Buffer a = random_values<T>(exec, n * n), b = random_values<T>(exec, n * n);
  const Buffer c(exec, Memory::device, static_cast<size_t>(n * n) * sizeof(T));
  const Buffer workspace(exec, Memory::device, matmul.workspace_bytes());
  const Shape square{n, n}, scratch{static_cast<int64_t>(workspace.size())};
  const double seconds = seconds_of(exec, sizes.calls, [&] {
    matmul.run(ConstTensor(a.data(), type, square), ConstTensor(b.data(), type, square), {},
               Tensor(c.data(), type, square), Tensor(workspace.data(), DType::u8, scratch));
  });
  const auto edge = static_cast<double>(n);
  print(what, "TFLOP/s", 2 * edge * edge * edge / seconds / 1e12, assumed_teraflops);
}

/// A chain of kernels that do next to nothing.
void measure_node(Exec exec, const Sizes& sizes, double assumed_us) {
  const Buffer a(exec, Memory::device, 256), b(exec, Memory::device, 256);
  Replay chain(exec, true, [&] {
    for (int i = 0; i < sizes.nodes; ++i)
      add_in_place(exec, a.as<float>().data(), b.as<float>().data(),
                   static_cast<int64_t>(a.as<float>().size()));
  });
  const double seconds = seconds_of(exec, sizes.calls, [&] { chain.run(); });
  print("a node of a captured graph", "us", 1e6 * seconds / sizes.nodes, assumed_us);
}

int measure(const std::vector<std::string>& words) {
  const bool on_cpu = std::ranges::find(words, "cpu") != words.end();
  const Sizes sizes = std::ranges::find(words, "--small") == words.end() ? Sizes{} : kSmall;
  const Device device = on_cpu ? Device() : Device(0);
  const Exec exec = device.exec();
  const Ceilings assumed;
  measure_memory(exec, sizes, assumed.terabytes_per_s);
  measure_node(exec, sizes, assumed.node_us);
  measure_product<bf16>(exec, sizes, "matrix product in bf16", false, assumed.bf16_teraflops);
  measure_product<float>(exec, sizes, "matrix product in tf32", true, assumed.tf32_teraflops);
  measure_product<float>(exec, sizes, "matrix product in fp32", false, assumed.fp32_teraflops);
  return 0;
}

}  // namespace
}  // namespace lockstep

int main(int count, char** arguments) {
  try {
    return lockstep::measure({arguments + 1, arguments + count});
  } catch (const lockstep::Error& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return static_cast<int>(error.code());
  }
}

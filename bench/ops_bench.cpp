// Times operations on one core of the CPU, or on a GPU, at the sizes that their test cases name for it
// (Op::time in tests/ops). FLOP/s and bytes/s are what the mathematics needs, not what an implementation
// happens to do.
//   build/.../bench/ops_bench [--op NAME] [--cuda] [the options of Google Benchmark]
#include <benchmark/benchmark.h>
#include <fmt/ranges.h>
#include <omp.h>

#include <algorithm>
#include <cstring>
#include <iostream>

#include "src/core/error.h"
#include "tests/support/harness/op_run.h"
#ifdef LOCKSTEP_HAVE_CUDA
#include "src/device/cuda_context.h"
#endif

namespace lockstep::test {
namespace {

using Role = Operand::Role;

bool is_output_gradient(const OpCase& op, const Operand& operand) {
  return std::any_of(op.operands.begin(), op.operands.end(), [&](const Operand& other) {
    return other.role == Role::output && operand.name == "d" + other.name;
  });
}

/// The bytes that forward reads and writes.
double bytes_of_forward(const OpCase& op) {
  double bytes = 0;
  for (const Operand& operand : op.operands)
    if (operand.role != Role::gradient && !is_output_gradient(op, operand))
      bytes += static_cast<double>(operand.shape.elements()) * static_cast<double>(size_of(operand.dtype));
  return bytes;
}

/// The gradient of each tensor with more than one axis costs as much as forward.
double flops_of_backward(const OpCase& op) {
  return op.flops * static_cast<double>(
                        std::count_if(op.operands.begin(), op.operands.end(), [](const Operand& operand) {
                          return operand.role == Role::gradient && operand.shape.rank() > 1;
                        }));
}

void time(benchmark::State& state, Exec exec, const Op::Entry& entry, bool is_backward) {
  omp_set_num_threads(1);
  OpCase op = entry.make(entry.rows.front());
  op.info.valid = static_cast<int32_t>(entry.rows.front());
  const Bytes inputs = inputs_of(op);
  OpRun run(exec, op, inputs);
  run.forward();
  for (auto _ : state) {
    is_backward ? run.backward() : run.forward();
    synchronize(exec);
  }
  const auto rounds = static_cast<double>(state.iterations());
  const auto count = [&](const char* name, double each) {
    if (each > 0) state.counters[name] = benchmark::Counter(rounds * each, benchmark::Counter::kIsRate);
  };
  count("rows", static_cast<double>(entry.rows.front()));
  count("FLOP", is_backward ? flops_of_backward(op) : op.flops);
  if (!is_backward) count("bytes", bytes_of_forward(op));
}

/// Whether any operation has this name; without one, all have.
bool add_benchmarks(Exec exec, const std::string& only) {
  bool found = false;
  for (const std::string& name : op_names()) {
    if (!only.empty() && name != only) continue;
    found = true;
    const Op op = op_named(name);
    for (const Op::Entry& entry : op.timed()) {
      const OpCase test = entry.make(entry.rows.front());
      const Bytes inputs = inputs_of(test);
      const bool has_backward = OpRun({}, test, inputs).has_backward();
      for (int backward = 0; backward <= (has_backward ? 1 : 0); ++backward)
        benchmark::RegisterBenchmark(
            fmt::format("{}/{}/{}/{}", name, entry.name, entry.rows.front(),
                        backward ? "backward" : "forward")
                .c_str(),
            [=](benchmark::State& state) { time(state, exec, entry, backward != 0); });
    }
  }
  return found;
}

int run(int argc, char** argv) {
  Exec exec;
  std::string only;
  std::vector<char*> others = {argv[0]};
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--op") == 0 && i + 1 < argc) {
      only = argv[++i];
    } else if (std::strcmp(argv[i], "--cuda") == 0) {
#ifdef LOCKSTEP_HAVE_CUDA
      static CudaContext context(0);
      exec.cuda = &context;
#else
      std::cerr << "ops_bench: --cuda: this build has no CUDA.\n";
      return 2;
#endif
    } else {
      others.push_back(argv[i]);
    }
  }
  if (!add_benchmarks(exec, only)) {
    std::cerr << fmt::format("ops_bench: no operation '{}'. There are: {}\n", only,
                             fmt::join(op_names(), ", "));
    return 2;
  }
  int count = static_cast<int>(others.size());
  benchmark::Initialize(&count, others.data());
  if (benchmark::ReportUnrecognizedArguments(count, others.data())) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace
}  // namespace lockstep::test

int main(int argc, char** argv) { return lockstep::test::run(argc, argv); }

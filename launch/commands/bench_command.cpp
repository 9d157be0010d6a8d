#include "launch/commands/bench.h"

namespace lockstep {

void add_bench_command(CLI::App& app, Program& program) {
  CLI::App* bench = app.add_subcommand("bench", "Measure how fast this machine trains");
  bench->require_subcommand(1);
  add_bench_step(*bench, program);
  add_bench_allreduce(*bench, program);
  add_bench_scaling(*bench, program);
}

}  // namespace lockstep

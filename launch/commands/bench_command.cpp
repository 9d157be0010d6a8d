#include "launch/commands/bench.h"

#include "launch/commands/command_line.h"

namespace lockstep {

void add_bench_command(Command app, Program& program) {
  Command bench = app.add_group("bench", "Measure how fast this machine trains");
  add_bench_step(bench, program);
  add_bench_allreduce(bench, program);
  add_bench_loader(bench, program);
  add_bench_scaling(bench, program);
  add_bench_devices(bench, program);
}

}  // namespace lockstep

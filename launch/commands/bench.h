#pragma once

namespace lockstep {

class Command;
class Program;

// Each of these adds a subcommand to `lockstep bench`.
void add_bench_step(Command bench, Program& program);
void add_bench_allreduce(Command bench, Program& program);
void add_bench_loader(Command bench, Program& program);
void add_bench_scaling(Command bench, Program& program);
void add_bench_devices(Command bench, Program& program);

}  // namespace lockstep

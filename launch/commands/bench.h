#pragma once

#include "launch/commands/program.h"

namespace lockstep {

// Each adds one subcommand to `lockstep bench`.
void add_bench_step(CLI::App& bench, Program& program);
void add_bench_allreduce(CLI::App& bench, Program& program);
void add_bench_scaling(CLI::App& bench, Program& program);

}  // namespace lockstep

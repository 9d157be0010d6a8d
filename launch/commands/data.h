#pragma once

#include <string>

#include "launch/commands/command_line.h"
#include "launch/commands/program.h"

namespace lockstep {

void add_repack(Command data, Program& program);
void add_split(Command data, Program& program);
void add_stats(Command data, Program& program);

/// Checks an output path: its name must match the format, and an existing file is replaced only on request.
/// Throws Error(usage).
void check_result(const std::string& out, bool force);

}  // namespace lockstep

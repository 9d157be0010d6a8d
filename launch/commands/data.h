#pragma once

#include <string>
#include <vector>

#include "io/dataset/dataset.h"
#include "launch/commands/command_line.h"
#include "launch/commands/program.h"

namespace lockstep {

void add_repack(Command data, Program& program);
void add_split(Command data, Program& program);
void add_stats(Command data, Program& program);

/// The samples that a command works on.
struct SourceArguments {
  std::string source, x, y;

  /// Throws Error(usage).
  DataSource parsed() const;
};

/// Adds the argument SOURCE and the options --x and --y.
void add_source(Command command, SourceArguments& arguments);

/// Checks an output path: its name must match the format, and an existing file is replaced only on request.
/// Throws Error(usage).
void check_result(const std::string& out, bool force);
/// Throws Error(usage) if an output path means one of the input files, also through links.
void refuse_to_replace(const std::string& out, const std::vector<std::string>& inputs);

}  // namespace lockstep

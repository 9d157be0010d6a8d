#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "io/dataset/dataset.h"
#include "launch/commands/command_line.h"
#include "launch/commands/program.h"
#include "launch/config/config.h"

namespace lockstep {

void add_check(Command data, Program& program);
void add_import(Command data, Program& program);
void add_repack(Command data, Program& program);
void add_split(Command data, Program& program);
void add_stats(Command data, Program& program);

// Of `data import`, which add_import() adds.
void add_import_arrays(Command import, Program& program);
void add_import_images(Command import, Program& program);

/// The samples that a command works on, and how they are read: SOURCE stands for data.train of a config, and
/// --set for its keys.
struct SourceArguments {
  std::string source, x, y;
  std::vector<std::string> sets;

  /// What they make of a config. Throws Error(usage), and for a key that says nothing about reading data.
  Config config() const;
  /// data.train of such a config, with the names of files as they are given.
  DataSource source_in(const Config& config) const;
  /// Whether they name more than a file.
  bool name_a_source() const;
};

/// Adds the argument SOURCE, the options --x, --y and --set, and a footer, which may begin with more lines.
void add_source(Command command, SourceArguments& arguments, const std::string& help = "",
                const std::string& more = "");

/// Checks an output path: its name must match the format, and an existing file is replaced only on request.
/// Throws Error(usage).
void check_result(const std::string& out, bool force, std::string_view format = "HDF5");
/// Ends a command that examined a file with an error that lists its problems and names it once; 0 if there
/// are none.
int end_with_problems(const std::string& file, const std::vector<std::string>& problems);
/// Reports bytes handled.
using NoteBytes = std::function<void(int64_t done, int64_t all)>;
/// Calls `run` and shows its progress.
void with_progress(const Program& program, const std::string& what,
                   const std::function<void(const NoteBytes&)>& run);
/// Throws Error(usage) if an output path means one of the input files, also through links.
void refuse_to_replace(const std::string& out, const std::vector<std::string>& inputs);

}  // namespace lockstep

#include <fmt/ranges.h>

#include <memory>
#include <utility>

#include "io/import/import_arrays.h"
#include "launch/commands/data.h"
#include "launch/report/report.h"
#include "src/core/error.h"
#include "src/core/text/printable.h"

namespace lockstep {

namespace {

void print(const ImportedArrays& imported, const std::string& out) {
  std::vector<std::vector<std::string>> rows{{"data set", "array", "of"}};
  for (const ImportedArrays::Array& array : imported.arrays)
    rows.push_back({array.name, printable(array.from), array.text});
  print_table(rows, {false, false, false});
  if (!imported.unused.empty())
    print_text("left out: {} (name arrays with --x and --y)\n",
               printable(fmt::format("{}", fmt::join(imported.unused, ", "))));
  print_text("wrote {}\n", out);
}

void add_import_npy(Command import, Program& program) {
  Command npy = import.add_command("npy", "Arrays of NumPy: samples, and if there are any, their targets");
  struct Arguments {
    std::vector<std::string> files;
    bool force = false;
  };
  auto arguments = std::make_shared<Arguments>();
  npy.add("FILES", arguments->files, "X.npy [Y.npy] OUT.h5: the samples, their targets, the file to write")
      .required();
  npy.add_flag("--force", arguments->force, "Replace OUT.h5 if it exists");
  npy.action(program, [&program, arguments] {
    const std::vector<std::string>& files = arguments->files;
    if (files.size() != 2 && files.size() != 3)
      fail(ExitCode::usage, "{} files: name X.npy, Y.npy if there are targets, and OUT.h5.", files.size());
    const std::string y = files.size() == 3 ? files[1] : "";
    const std::string& out = files.back();
    check_result(out, arguments->force);
    refuse_to_replace(out, {files.begin(), files.end() - 1});
    ImportedArrays imported;
    with_progress(program, "import " + files[0],
                  [&](const NoteBytes& note) { imported = import_npy(files[0], y, out, note); });
    print(imported, out);
    return 0;
  });
}

void add_import_npz(Command import, Program& program) {
  Command npz = import.add_command("npz", "A file of arrays of NumPy");
  struct Arguments {
    std::string file, out, x, y;
    bool force = false;
  };
  auto arguments = std::make_shared<Arguments>();
  npz.add("FILE", arguments->file, "The .npz file").required();
  npz.add("OUT", arguments->out, "The HDF5 file to write").required();
  npz.add("--x", arguments->x,
          "Array of the samples; default: x_train or x, and x_val and x_test for /validation and /test")
      .type("NAME");
  npz.add("--y", arguments->y, "Array of their targets; default: y_train or y, ...; with --x: none")
      .type("NAME");
  npz.add_flag("--force", arguments->force, "Replace OUT if it exists");
  npz.action(program, [&program, arguments] {
    if (arguments->x.empty() && !arguments->y.empty())
      fail(ExitCode::usage, "--y {} needs the array of the samples: name it with --x.", arguments->y);
    check_result(arguments->out, arguments->force);
    refuse_to_replace(arguments->out, {arguments->file});
    ImportedArrays imported;
    with_progress(program, "import " + arguments->file, [&](const NoteBytes& note) {
      imported = import_npz(arguments->file, arguments->x, arguments->y, arguments->out, note);
    });
    print(imported, arguments->out);
    return 0;
  });
}

}  // namespace

void add_import_arrays(Command import, Program& program) {
  add_import_npy(import, program);
  add_import_npz(import, program);
}

}  // namespace lockstep

#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <span>
#include <utility>

#include "io/images/image.h"
#include "io/import/import_images.h"
#include "launch/commands/data.h"
#include "launch/report/report.h"
#include "src/core/cores.h"
#include "src/core/counted.h"
#include "src/core/error.h"
#include "src/core/log.h"
#include "src/core/text/printable.h"

namespace lockstep {

namespace {

constexpr size_t kFilesShown = 10, kImageClassesShown = 20;

struct ImportImagesArguments {
  std::string folder, out, fit = "crop", channels = "auto";
  std::vector<int64_t> size;
  ImportImagesOptions options;
  bool force = false, json = false;
};

void check_arguments(ImportImagesArguments& arguments) {
  constexpr int64_t kMaxSide = 1 << 14;
  ImportImagesOptions& options = arguments.options;
  const std::pair<const char*, images::Fit> fits[] = {
      {"resize", images::Fit::stretch}, {"crop", images::Fit::crop}, {"pad", images::Fit::pad}};
  options.fit = std::ranges::find(fits, arguments.fit, [](const auto& fit) { return fit.first; })->second;
  options.channels = arguments.channels == "auto" ? 0 : arguments.channels == "1" ? 1 : 3;
  const std::vector<int64_t>& size = arguments.size;
  if (size.size() > 2 || std::ranges::any_of(size, [&](int64_t side) { return side < 1 || side > kMaxSide; }))
    fail(ExitCode::usage, "--size {}: write a height and a width, each from 1 to {}, or one number for both.",
         fmt::join(size, ","), kMaxSide);
  options.height = size.empty() ? 0 : size.front();
  options.width = size.empty() ? 0 : size.back();
  for (const auto& [name, share] : {std::pair{"--validation", options.validation}, {"--test", options.test}})
    if (!(share >= 0 && share < 1))
      fail(ExitCode::usage, "{} {}: a share is at least 0 and below 1.", name, share);
  if (options.validation + options.test >= 1)
    fail(ExitCode::usage, "--validation {} and --test {} leave nothing to train on.", options.validation,
         options.test);
  if (options.values && options.labels.empty())
    fail(ExitCode::usage, "--values needs the numbers: name their table with --labels.");
  if (options.threads == 0) options.threads = static_cast<int>(usable_cores().size());
}

/// Rows of classes, columns of parts.
void print_counts(const ImportedImages& imported) {
  std::vector<std::vector<std::string>> rows{{imported.classes.empty() ? "" : "class"}};
  for (const ImportedImages::Part& part : imported.parts) rows[0].push_back(part.name);
  const size_t shown = std::min(imported.classes.size(), kImageClassesShown);
  for (size_t i = 0; i < shown; ++i) {
    rows.push_back({printable(imported.classes[i])});
    for (const ImportedImages::Part& part : imported.parts)
      rows.back().push_back(readable_count(part.of_class[i]));
  }
  if (shown < imported.classes.size()) rows.push_back({"..."});
  rows.push_back({"all"});
  for (const ImportedImages::Part& part : imported.parts) rows.back().push_back(readable_count(part.images));
  for (auto& row : rows) row.resize(rows[0].size());
  print_table(rows, std::vector<bool>(rows[0].size(), true));
  if (shown < imported.classes.size())
    print_text("{} in all (--json lists them)\n", counted(imported.classes.size(), "class", "classes"));
}

void print_more(size_t count) {
  if (count > kFilesShown) print_text("  and {} more (--json lists all)\n", count - kFilesShown);
}

void print_left_out(const ImportedImages& imported) {
  if (!imported.unusable.empty())
    print_text("left out: {}\n",
               counted(imported.unusable.size(), "file that is no image", "files that are no images"));
  for (const LeftOut& file :
       std::span(imported.unusable).first(std::min(kFilesShown, imported.unusable.size())))
    print_text("  {}: {}\n", printable(file.name), printable(file.reason));
  print_more(imported.unusable.size());
  if (imported.other.empty()) return;
  std::map<std::string, size_t> kinds;
  for (const LeftOut& file : imported.other) ++kinds[file.reason];
  std::vector<std::string> counts;
  for (const auto& [kind, count] : kinds) counts.push_back(fmt::format("{} {}", count, printable(kind)));
  print_text("left out: {}: {}\n",
             counted(imported.other.size(), "file of another kind", "files of other kinds"),
             fmt::join(counts, ", "));
  for (const LeftOut& file : std::span(imported.other).first(std::min(kFilesShown, imported.other.size())))
    print_text("  {}\n", printable(file.name));
  print_more(imported.other.size());
}

Json as_json(const std::vector<LeftOut>& files, const char* reason) {
  Json list = Json::array();
  for (const LeftOut& file : files) list.push_back({{"file", file.name}, {reason, file.reason}});
  return list;
}

Json as_json(const ImportedImages& imported) {
  Json parts = Json::array();
  for (const ImportedImages::Part& part : imported.parts) {
    parts.push_back({{"name", part.name}, {"images", part.images}});
    for (size_t i = 0; i < imported.classes.size(); ++i)
      parts.back()["classes"][imported.classes[i]] = part.of_class[i];
  }
  return {{"size", {imported.size.height, imported.size.width, imported.size.channels}},
          {"classes", imported.classes},
          {"parts", parts},
          {"unusable", as_json(imported.unusable, "reason")},
          {"other", as_json(imported.other, "kind")}};
}

int run_import_images(const Program& program, ImportImagesArguments& arguments) {
  check_arguments(arguments);
  check_result(arguments.out, arguments.force);
  if (arguments.json) log_information_to_stderr();
  ImportedImages imported;
  with_progress(program, "import " + arguments.folder, [&](const NoteBytes& work) {
    arguments.options.progress = work;
    imported = import_images(arguments.folder, arguments.out, arguments.options);
  });
  if (arguments.json) {
    Json report = {{"in", arguments.folder}, {"out", arguments.out}};
    report.update(as_json(imported));
    print_json(report);
    return 0;
  }
  print_counts(imported);
  print_left_out(imported);
  print_text("wrote {}: images of {}\n", arguments.out, images::to_string(imported.size));
  return 0;
}

}  // namespace

void add_import_images(Command import, Program& program) {
  Command command =
      import.add_command("images", "JPEG and PNG files, in a sub-folder for each class or with a table");
  auto arguments = std::make_shared<ImportImagesArguments>();
  ImportImagesOptions& options = arguments->options;
  command.add("FOLDER", arguments->folder, "Folder of the images").required();
  command.add("OUT", arguments->out, "The HDF5 file to write").required();
  command
      .add("--labels", options.labels,
           "Table with a line for each image: its file in FOLDER, and its class; default: the sub-folders of "
           "FOLDER are the classes")
      .type("FILE.csv");
  command.add_flag("--values", options.values,
                   "The table has one or more numbers to predict for each image, not a class");
  command.add("--size", arguments->size, "Height and width to give all images, or one number for both")
      .type("H,W");
  command
      .add("--fit", arguments->fit,
           "What --size does to another ratio of sides: crop (take the middle), pad (with black) or resize "
           "(stretch); default: crop")
      .check(one_of_names({"crop", "pad", "resize"}));
  command
      .add("--channels", arguments->channels,
           "1 (gray), 3 (RGB) or auto (gray if all images are); default: auto")
      .check(one_of_names({"auto", "1", "3"}));
  command.add("--validation", options.validation, "Share of each class for /validation; default: 0")
      .type("SHARE");
  command.add("--test", options.test, "Share of each class for /test; default: 0").type("SHARE");
  command.add("--seed", options.seed, "Seed of that choice and of the order; default: 1");
  command.add_flag("--strict", options.strict, "Stop at a file that is no image, rather than leave it out");
  options.threads = 0;
  command.add("--threads", options.threads, "Threads that decode; default: all cores")
      .check(whole_number(1, 1024));
  command.add_flag("--force", arguments->force, "Replace OUT if it exists");
  command.add_flag("--json", arguments->json, "Print JSON");
  command.footer(
      "Images are turned upright by their Exif data. Transparent ones are put on white.\n"
      "Palettes, 16 bits a channel and CMYK become 8 bits of gray or RGB.\n"
      "  lockstep data import images photos photos.h5 --size 224 --validation 0.1\n"
      "  lockstep data import images scans scans.h5 --labels ages.csv --values");
  command.action(program, [&program, arguments] { return run_import_images(program, *arguments); });
}

}  // namespace lockstep

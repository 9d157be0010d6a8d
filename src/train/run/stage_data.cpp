#include "src/train/run/stage_data.h"

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "io/dataset/source_files.h"
#include "io/file/staged_copies.h"
#include "io/stage/stage.h"
#include "src/core/counted.h"
#include "src/core/log.h"

namespace lockstep {

namespace {

using StageClock = std::chrono::steady_clock;

double seconds_staging_since(StageClock::time_point start) {
  return std::chrono::duration<double>(StageClock::now() - start).count();
}

double mebibytes(int64_t bytes) { return static_cast<double>(bytes) / 0x1p20; }

/// Those files of the sources that can be copied alone; warns about the others.
std::set<std::string> files_to_stage(const std::vector<const DataSource*>& sources, TargetTask task) {
  std::set<std::string> copied, left;
  for (const DataSource* source : sources)
    for (const std::string& file : matching_files(source->files))
      (needs_other_files(file, names_read(*source, task)) ? left : copied).insert(file);
  for (const std::string& file : left) {
    log_warning("data.stage: {} is read where it is, because its values also lie in other files", file);
    copied.erase(file);
  }
  return copied;
}

/// Collective. What rank 0 finds.
std::vector<std::string> agree_on_files(World& world, const std::vector<const DataSource*>& sources,
                                        TargetTask task) {
  std::string text;
  if (world.rank() == 0) text = nlohmann::json(files_to_stage(sources, task)).dump();
  return nlohmann::json::parse(world.broadcast(text)).get<std::vector<std::string>>();
}

/// A line every few seconds.
class ProgressLines {
 public:
  void show(int64_t done, int64_t all) {
    if (seconds_staging_since(shown_) < interval_) return;
    log_info("data.stage: copied {:.0f} of {:.0f} MiB", mebibytes(done), mebibytes(all));
    shown_ = StageClock::now();
    interval_ = 5;
  }

 private:
  StageClock::time_point shown_ = StageClock::now();
  double interval_ = 1;
};

}  // namespace

void stage_data(World& world, const std::string& folder, const std::vector<const DataSource*>& sources,
                TargetTask task) {
  if (folder.empty()) return;
  const std::vector<std::string> files = agree_on_files(world, sources, task);
  if (world.local_rank() == 0) {
    const StageClock::time_point start = StageClock::now();
    const bool speaks = world.rank() == 0;
    ProgressLines lines;
    const StageResult result =
        stage_files(files, {.folder = folder, .progress = [&](int64_t done, int64_t all) {
                              if (speaks) lines.show(done, all);
                            }});
    if (speaks)
      log_info("data.stage: {} of {:.1f} MiB on each machine in {}; copied {:.1f} MiB in {:.1f} s",
               counted(files.size(), "file"), mebibytes(result.bytes), folder, mebibytes(result.copied),
               seconds_staging_since(start));
  }
  world.barrier();
  for (const std::string& file : files) {
    const std::optional<std::string> copy = staged_copy(file, folder);
    if (!copy) fail(ExitCode::data, "{} changed while it was copied to {}.", file, folder);
    read_copy_instead(file, *copy);
    // The name under which it is watched for changes.
    read_copy_instead(std::filesystem::canonical(file).string(), *copy);
  }
}

}  // namespace lockstep

#include "src/train/run/stage_data.h"

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "comm/collectives/shared_memory.h"
#include "io/dataset/source_files.h"
#include "io/file/staged_copies.h"
#include "io/stage/stage.h"
#include "src/core/counted.h"
#include "src/core/log.h"
#include "src/core/text/readable_bytes.h"

namespace lockstep {

namespace {

using StageClock = std::chrono::steady_clock;

double seconds_staging_since(StageClock::time_point start) {
  return std::chrono::duration<double>(StageClock::now() - start).count();
}

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
    log_info("data.stage: copied {} of {}", readable_bytes(done), readable_bytes(all));
    shown_ = StageClock::now();
    interval_ = 5;
  }

 private:
  StageClock::time_point shown_ = StageClock::now();
  double interval_ = 1;
};

void read_from(const std::string& copy, const std::string& file) {
  read_copy_instead(file, copy);
  // The name under which it is watched for changes.
  read_copy_instead(std::filesystem::canonical(file).string(), copy);
}

void copy_whole_files(World& world, const std::vector<std::string>& files, const std::string& folder) {
  if (world.local_rank() == 0) {
    const StageClock::time_point start = StageClock::now();
    const bool speaks = world.rank() == 0;
    ProgressLines lines;
    const StageResult result =
        stage_files(files, {.folder = folder, .progress = [&](int64_t done, int64_t all) {
                              if (speaks) lines.show(done, all);
                            }});
    if (speaks)
      log_info("data.stage: {} of {} on each machine in {}; {}", counted(files.size(), "file"),
               readable_bytes(result.bytes), folder,
               result.copied == 0 ? "nothing was missing there"
                                  : fmt::format("copied {} in {:.1f} s", readable_bytes(result.copied),
                                                seconds_staging_since(start)));
  }
  world.barrier();
  for (const std::string& file : files) {
    const std::optional<std::string> copy = staged_copy(file, folder);
    if (!copy) fail(ExitCode::data, "{} changed while it was copied to {}.", file, folder);
    read_from(*copy, file);
  }
}

std::unique_ptr<KeptFiles> keep_what_is_read(World& world, std::vector<std::string> files,
                                             const std::string& folder, const MachineMemory& machine) {
  std::erase_if(files, [&](const std::string& file) {
    const std::optional<std::string> copy = staged_copy(file, folder);
    if (world.any(!copy.has_value())) return false;
    read_from(*copy, file);
    return true;
  });
  auto kept = std::make_unique<KeptFiles>(files, folder, machine);
  if (world.rank() == 0)
    log_info("data.stage: each machine keeps what it reads of {} ({}) in {}; this one has {}",
             counted(files.size(), "file"), readable_bytes(kept->bytes()), folder,
             readable_bytes(kept->kept_bytes()));
  return kept;
}

}  // namespace

std::unique_ptr<KeptFiles> stage_data(World& world, const TrainOptions::Data& options,
                                      const std::vector<const DataSource*>& sources, TargetTask task,
                                      const MachineMemory& machine) {
  if (options.stage.empty()) {
    if (options.stage_part == StagePart::used && world.rank() == 0)
      log_warning("data.stage_part has no effect without data.stage");
    return nullptr;
  }
  const std::vector<std::string> files = agree_on_files(world, sources, task);
  if (options.stage_part == StagePart::used) return keep_what_is_read(world, files, options.stage, machine);
  copy_whole_files(world, files, options.stage);
  return nullptr;
}

void log_share_read(World& world, const Order& order, int64_t rank_batch) {
  const std::vector<int> ranks = ranks_of_machine(world);
  double share = static_cast<double>(ranks.size()) / world.size();
  const bool keeps_runs = order.kind == Order::Kind::windows && order.windows.keeps_runs;
  if (keeps_runs) {
    std::set<int64_t> lanes;
    const int64_t slots_of_lane = rank_batch * world.size() / order.windows.lanes;
    for (const int rank : ranks)
      for (int64_t slot = rank * rank_batch; slot < (rank + 1) * rank_batch; ++slot)
        lanes.insert(slot / slots_of_lane);
    share = static_cast<double>(lanes.size()) / static_cast<double>(order.windows.lanes);
  }
  if (world.rank() > 0) return;
  log_info("data.stage: this machine reads {:.0f} % of the training data in every epoch, {}", 100 * share,
           keeps_runs || share == 1
               ? "the same each time: from the second epoch on it has nearly all that it needs"
               : "other samples each time, so that what it has grows up to all of the data; with "
                 "data.shuffle = \"local\" they are the same each time");
}

void log_kept_reads(World& world, const KeptFiles& kept, const std::string& folder) {
  double read[] = {static_cast<double>(kept.read_from_copies()),
                   static_cast<double>(kept.read_from_originals())};
  world.sum(read);
  if (world.rank() > 0) return;
  log_info(
      "data.stage: {} were read from {} and {} from the original files; this machine has {} of {} by now",
      readable_bytes(static_cast<int64_t>(read[0])), folder, readable_bytes(static_cast<int64_t>(read[1])),
      readable_bytes(kept.kept_bytes()), readable_bytes(kept.bytes()));
}

}  // namespace lockstep

#include "io/stage/stage.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <system_error>

#include "io/dataset/layouts/open_rows.h"
#include "io/file/atomic_file.h"
#include "io/hdf5/hdf5.h"
#include "io/hdf5/sources/family.h"
#include "io/hdf5/sources/sources.h"
#include "io/stage/piecewise_copy.h"
#include "io/stage/stage_folder.h"
#include "src/core/error.h"
#include "src/core/text/readable_bytes.h"

namespace lockstep {

namespace {

namespace fs = std::filesystem;

std::string record_path(const std::string& copy) { return copy + ".json"; }

/// What is recorded beside a finished copy. If one of these has changed, the copy is made again.
nlohmann::json record_of(const std::string& file, const FileState& original, const FileState& copy) {
  return {{"file", full_path(file)},
          {"bytes", original.bytes},
          {"modified_ns", original.modified_ns},
          {"copy_modified_ns", copy.modified_ns}};
}

/// Bytes that a file takes on its disk, which are fewer than its size if not all of it was written.
int64_t allocated_bytes(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? static_cast<int64_t>(status.st_blocks) * 512 : 0;
}

void require_space(const std::string& folder, int64_t missing, int64_t all) {
  struct statvfs system {};
  if (::statvfs(folder.c_str(), &system) != 0) return;
  const auto free = static_cast<int64_t>(system.f_bavail) * static_cast<int64_t>(system.f_frsize);
  if (missing <= free) return;
  fail(ExitCode::data,
       "data.stage: {} has {} free, but {} of the {} of data are still to be copied there. Free some space, "
       "choose another folder, or remove the key to read the files where they are.",
       folder, readable_bytes(free), readable_bytes(missing), readable_bytes(all));
}

}  // namespace

bool needs_other_files(const std::string& file, const std::vector<std::string>& names) {
  if (hdf5::is_family_pattern(file)) return true;
  const hdf5::Lock lock;
  const hdf5::File opened = hdf5::File::open(file);
  for (const std::string& name : names)
    for (const std::string& data_set : open_rows(file, name)->data_sets())
      if (hdf5::require_sources(opened.dataset(data_set)).files.size() > 1) return true;
  return false;
}

std::optional<std::string> staged_copy(const std::string& file, const std::string& folder) {
  const std::string copy = stage_path(file, folder);
  const FileState original = FileState::of(file), copied = FileState::of(copy);
  if (!copied.exists || copied.bytes != original.bytes) return std::nullopt;
  std::ifstream text(record_path(copy));
  nlohmann::json record = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!record.is_object() || !record.contains("xxh3")) return std::nullopt;
  record.erase("xxh3");
  if (record != record_of(file, original, copied)) return std::nullopt;
  return copy;
}

StageResult stage_files(const std::vector<std::string>& files, const StageOptions& options) {
  create_stage_folder(options.folder);
  const StageFolderLock lock(options.folder);

  StageResult result;
  std::vector<std::string> unfinished;
  int64_t missing = 0;  // on the disk
  for (const std::string& file : std::set<std::string>(files.begin(), files.end())) {
    const int64_t bytes = FileState::of(file).bytes;
    result.bytes += bytes;
    if (staged_copy(file, options.folder)) continue;
    unfinished.push_back(file);
    const std::string path = stage_path(file, options.folder);
    std::error_code error;
    fs::remove(record_path(path), error);
    // An old copy is replaced only when the new one is complete.
    missing += std::max<int64_t>(0, bytes - allocated_bytes(path + ".part"));
  }
  require_space(options.folder, missing, result.bytes);

  int64_t done = result.bytes;
  for (const std::string& file : unfinished) done -= FileState::of(file).bytes;
  for (const std::string& file : unfinished) {
    const std::string path = stage_path(file, options.folder);
    PiecewiseCopy copy(file, path);
    done += copy.original().bytes - copy.missing();
    result.copied += copy.missing();
    copy.run(options.threads, [&](int64_t bytes) {
      done += bytes;
      if (options.progress) options.progress(done, result.bytes);
    });
    nlohmann::json record = record_of(file, copy.original(), copy.commit());
    record["xxh3"] = fmt::format("{:016x}", copy.checksum());
    write_text_atomically(record_path(path), record.dump() + "\n");
  }
  return result;
}

}  // namespace lockstep

#include "io/hdf5/sources/sources.h"

#include <fmt/ranges.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <filesystem>

#include "io/file/file_parts.h"
#include "io/file/writers.h"
#include "io/hdf5/chunks/read_driver.h"
#include "io/hdf5/sources/family.h"
#include "io/hdf5/sources/raw_files.h"
#include "io/hdf5/sources/search.h"
#include "io/hdf5/sources/source_walk.h"
#include "io/hdf5/walk.h"

namespace lockstep::hdf5 {

namespace fs = std::filesystem;

namespace {

/// Far more nesting than writers produce, and far less than overflows the stack.
constexpr int kMaxNesting = 16;
/// File descriptors for everything else that a process opens.
constexpr int64_t kOtherDescriptors = 256;

std::atomic<int64_t>& reserved_descriptors() {
  static std::atomic<int64_t> count = 0;
  return count;
}

/// Ensures that this process can open `count` more files at once.
std::shared_ptr<void> reserve_descriptors(const Dataset& dataset, int64_t count) {
  const int64_t wanted = reserved_descriptors().fetch_add(count) + count + kOtherDescriptors;
  std::shared_ptr<void> share(nullptr, [count](void*) { reserved_descriptors().fetch_sub(count); });
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return share;
  if (limit.rlim_cur < static_cast<rlim_t>(wanted)) {
    limit.rlim_cur = std::min(limit.rlim_max, static_cast<rlim_t>(wanted));
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  if (limit.rlim_cur < static_cast<rlim_t>(wanted))
    fail(ExitCode::data,
         "{} has values in {} files, but this process may open only {} at once. Raise the limit with `ulimit "
         "-n "
         "{}`, or join the files.",
         dataset.where(), count, limit.rlim_max, wanted);
  return share;
}

}  // namespace

File open_referenced(Reference kind, const std::string& name, const std::string& from,
                     const std::string& needed_by) {
  const std::vector<std::string> places = places_of(kind, name, from);
  std::string reason;
  for (const std::string& place : places) {
    std::error_code error;
    if (!fs::exists(place, error) && !error) continue;
    try {
      File file = File::open(place);
      if (family_of(file.id()) != nullptr)
        fail(
            ExitCode::data,
            "{} is the first file of a family, to which no other file can refer: `h5repack` makes one file of "
            "it.",
            place);
      return file;
    } catch (const Error& e) {
      // libhdf5 continues searching too.
      if (reason.empty()) reason = e.what();
    }
  }
  if (!reason.empty()) fail(ExitCode::data, "{}{}", needed_by, reason);
  const std::string others =
      places.size() > 1 ? fmt::format(", nor does {}", fmt::join(places.begin() + 1, places.end(), ", "))
                        : "";
  fail(ExitCode::data, "{}{} does not exist{}. Copy it there, or set {} to the folder that holds it.",
       needed_by, places[0], others, search_variable(kind));
}

void SourceWalk::add_file(const std::string& path) {
  const std::vector<std::string> files =
      is_family_pattern(path) ? find_family(path).members : std::vector<std::string>{path};
  for (const std::string& file : files)
    if (known_files_.insert(file).second) found_.files.push_back(file);
}

void SourceWalk::visit(const Dataset& dataset) {
  if (++depth_ > kMaxNesting)
    fail(ExitCode::data, "{}: its virtual data sets are nested more than {} deep, or contain themselves.",
         dataset.where(), kMaxNesting);
  const std::string own = own_file(dataset.id());
  if (depth_ == 1) add_file(full_path(dataset.file()));
  add_file(own);
  if (dataset.layout() == "virtual")
    visit_virtual(dataset, own);
  else if (dataset.layout() == "external")
    visit_raw_files(dataset, own);
  else if (thorough_) {
    if (std::string sentence = unwritten_rows(dataset); !sentence.empty())
      found_.warnings.push_back(std::move(sentence));
  }
  if (decode_ && depth_ > 1 && !dataset.filters().empty() && dataset.holds_values()) decode_chunks(dataset);
  --depth_;
}

Sources require_sources(const Dataset& dataset, bool thorough, bool decode) {
  const Lock lock;
  SourceWalk walk(thorough, decode);
  walk.visit(dataset);
  Sources found = std::move(walk).found();
  if (thorough) {
    for (std::string& writer : describe_writers(found.files)) found.warnings.push_back(std::move(writer));
  }
  found.descriptors = reserve_descriptors(dataset, static_cast<int64_t>(found.files.size()));
  return found;
}

}  // namespace lockstep::hdf5

#include "io/stage/keep_files.h"

#include <set>
#include <span>

#include "io/stage/stage_folder.h"

namespace lockstep {

namespace {

constexpr size_t kFlagBytes = 64;
constexpr int kCheckingThreads = 4;

}  // namespace

KeptFiles::KeptFiles(const std::vector<std::string>& files, const std::string& folder,
                     const MachineMemory& machine) {
  struct Part {
    std::string original, copy;
    size_t begin, pieces;
  };
  std::vector<Part> parts;
  size_t bytes = kFlagBytes;
  for (const std::string& file : std::set<std::string>(files.begin(), files.end())) {
    const auto pieces = static_cast<size_t>(KeptFile::pieces_of(FileState::of(file).bytes));
    parts.push_back({file, stage_path(file, folder) + ".kept", bytes, pieces});
    bytes += pieces;
  }
  if (machine.allocate) table_ = machine.allocate(bytes);
  const bool is_shared = table_ != nullptr;
  if (!is_shared) table_.reset(new std::byte[bytes]());  // aligned, which make_shared() need not do
  auto* const table = reinterpret_cast<uint8_t*>(table_.get());
  const auto table_of = [&](const Part& part) -> KeptFile::Table {
    return {{table + part.begin, part.pieces}, reinterpret_cast<uint32_t*>(table)};
  };
  if (machine.rank == 0 || !is_shared) {
    create_stage_folder(folder);
    const StageFolderLock lock(folder);
    for (const Part& part : parts)
      KeptFile::prepare(part.original, part.copy, table_of(part), kCheckingThreads);
  }
  if (machine.wait_for_all) machine.wait_for_all();
  for (const Part& part : parts) {
    files_.push_back(std::make_shared<KeptFile>(part.original, part.copy, table_of(part)));
    in_use_.push_back(use_kept_file(files_.back()));
  }
}

int64_t KeptFiles::bytes() const {
  int64_t sum = 0;
  for (const auto& file : files_) sum += file->original().bytes;
  return sum;
}

int64_t KeptFiles::kept_bytes() const {
  int64_t sum = 0;
  for (const auto& file : files_) sum += file->kept_bytes();
  return sum;
}

int64_t KeptFiles::read_from_copies() const {
  int64_t sum = 0;
  for (const auto& file : files_) sum += file->read_from_copy();
  return sum;
}

int64_t KeptFiles::read_from_originals() const {
  int64_t sum = 0;
  for (const auto& file : files_) sum += file->read_from_original();
  return sum;
}

}  // namespace lockstep

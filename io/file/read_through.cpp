#include <sys/stat.h>

#include <map>
#include <mutex>
#include <utility>

#include "io/file/kept_file.h"
#include "io/file/read_at.h"

namespace lockstep {

namespace {

using FileIdentity = std::pair<uint64_t, uint64_t>;  // device and inode

struct KeptFileTable {
  std::mutex mutex;
  std::map<FileIdentity, std::shared_ptr<KeptFile>> copies;
};

KeptFileTable& kept_files() {
  static KeptFileTable table;
  return table;
}

}  // namespace

std::shared_ptr<void> use_kept_file(std::shared_ptr<KeptFile> copy) {
  const FileIdentity identity{copy->original().device, copy->original().inode};
  const std::scoped_lock lock(kept_files().mutex);
  kept_files().copies[identity] = std::move(copy);
  return {nullptr, [identity](void*) {
            const std::scoped_lock again(kept_files().mutex);
            kept_files().copies.erase(identity);
          }};
}

std::shared_ptr<KeptFile> kept_file(int descriptor) {
  const std::scoped_lock lock(kept_files().mutex);
  struct stat status {};
  if (kept_files().copies.empty() || ::fstat(descriptor, &status) != 0) return nullptr;
  const auto found =
      kept_files().copies.find({static_cast<uint64_t>(status.st_dev), static_cast<uint64_t>(status.st_ino)});
  return found == kept_files().copies.end() ? nullptr : found->second;
}

std::string read_through(KeptFile* copy, int descriptor, int64_t offset, std::span<iovec> out) {
  return copy == nullptr ? read_at(descriptor, offset, out) : copy->read(descriptor, offset, out);
}

std::string read_through(KeptFile* copy, int descriptor, int64_t offset, std::span<std::byte> out) {
  iovec piece{out.data(), out.size()};
  return out.empty() ? "" : read_through(copy, descriptor, offset, {&piece, 1});
}

}  // namespace lockstep

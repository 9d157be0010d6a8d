#include "io/file/file_parts.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "io/file/read_at.h"

namespace lockstep {

namespace {

/// -1 if it cannot be opened. A pipe, at which opening would wait for a writer, is closed again.
int open_regular_file(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat status {};
  if (descriptor < 0 || (::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode))) return descriptor;
  ::close(descriptor);
  return -1;
}

}  // namespace

FileParts::~FileParts() {
  for (const auto& [path, descriptor] : descriptors_) ::close(descriptor);
}

bool FileParts::append(const std::string& path, uint64_t offset, uint64_t bytes) {
  if (!descriptors_.contains(path)) {
    const int descriptor = open_regular_file(path);
    if (descriptor < 0) return false;
    descriptors_[path] = descriptor;
  }
  const uint64_t address = this->bytes();
  parts_.push_back({path, descriptors_[path], offset, address, address + bytes});
  return true;
}

std::vector<std::string> FileParts::paths() const {
  std::vector<std::string> paths;
  for (const Part& part : parts_)
    if (std::ranges::find(paths, part.path) == paths.end()) paths.push_back(part.path);
  return paths;
}

const FileParts::Part* FileParts::part_at(uint64_t address) const {
  const auto part = std::ranges::upper_bound(parts_, address, {}, &Part::end);
  return part == parts_.end() ? nullptr : &*part;
}

std::string FileParts::read(uint64_t address, std::span<iovec> pieces) const {
  while (!pieces.empty()) {
    const Part* part = part_at(address);
    if (part == nullptr) return kFileEndsEarly;
    // The pieces that lie in this part, the last of them perhaps only with its beginning.
    const uint64_t room = part->end - address;
    size_t count = 0;
    uint64_t bytes = 0;
    while (count < pieces.size() && bytes < room) bytes += pieces[count++].iov_len;
    iovec& last = pieces[count - 1];
    const size_t behind = bytes > room ? bytes - room : 0;
    last.iov_len -= behind;
    const iovec rest{static_cast<std::byte*>(last.iov_base) + last.iov_len, behind};
    const auto offset = static_cast<int64_t>(part->offset + (address - part->address));
    if (std::string problem = read_at(part->descriptor, offset, pieces.first(count)); !problem.empty())
      return problem;
    address += bytes - behind;
    pieces = pieces.subspan(behind > 0 ? count - 1 : count);
    if (behind > 0) pieces[0] = rest;
  }
  return "";
}

std::string FileParts::read(uint64_t address, std::span<std::byte> out) const {
  iovec piece{out.data(), out.size()};
  return out.empty() ? "" : read(address, std::span(&piece, 1));
}

void FileParts::ask_for(uint64_t address, uint64_t count) const {
  for (const Part* part = nullptr; count > 0 && (part = part_at(address)) != nullptr;) {
    const uint64_t here = std::min(count, part->end - address);
    posix_fadvise(part->descriptor, static_cast<off_t>(part->offset + (address - part->address)),
                  static_cast<off_t>(here), POSIX_FADV_WILLNEED);
    address += here;
    count -= here;
  }
}

std::string FileParts::describe(uint64_t address) const {
  const Part* part = part_at(address);
  return part == nullptr ? fmt::format("byte {} of its values", address)
                         : fmt::format("byte {} of {}", part->offset + (address - part->address), part->path);
}

}  // namespace lockstep

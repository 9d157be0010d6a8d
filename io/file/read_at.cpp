#include "io/file/read_at.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace lockstep {

std::string read_at(int descriptor, int64_t offset, std::span<iovec> pieces) {
  while (!pieces.empty()) {
    // Rows in random order are one piece each, for which the system need not copy a list of pieces.
    const ssize_t got = pieces.size() == 1
                            ? pread(descriptor, pieces[0].iov_base, pieces[0].iov_len, offset)
                            : preadv(descriptor, pieces.data(), static_cast<int>(pieces.size()), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::strerror(errno);
    if (got == 0) return kFileEndsEarly;
    offset += got;
    auto left = static_cast<size_t>(got);
    while (!pieces.empty() && left >= pieces.front().iov_len) {
      left -= pieces.front().iov_len;
      pieces = pieces.subspan(1);
    }
    if (left > 0)
      pieces.front() = {static_cast<std::byte*>(pieces.front().iov_base) + left,
                        pieces.front().iov_len - left};
  }
  return "";
}

std::string read_at(int descriptor, int64_t offset, std::span<std::byte> out) {
  iovec piece{out.data(), out.size()};
  return out.empty() ? "" : read_at(descriptor, offset, std::span(&piece, 1));
}

}  // namespace lockstep

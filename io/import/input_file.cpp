#include "io/import/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "io/file/read_at.h"
#include "src/core/error.h"

namespace lockstep {

InputFile::InputFile(std::string path) : path_(std::move(path)) {
  // Without waiting for the writer of a pipe, which is refused.
  descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0) fail(ExitCode::data, "{}: cannot open it: {}.", path_, std::strerror(errno));
  struct stat status {};
  const bool is_file = ::fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode);
  bytes_ = status.st_size;
  if (is_file) return;
  ::close(descriptor_);
  fail(ExitCode::data, "{} is not a regular file.", path_);
}

InputFile::~InputFile() { ::close(descriptor_); }

void InputFile::read(int64_t offset, std::span<std::byte> out) const {
  if (const std::string error = read_at(descriptor_, offset, out); !error.empty())
    fail(ExitCode::data, "{}: cannot read it: {}.", path_, error);
}

}  // namespace lockstep

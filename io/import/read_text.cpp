#include "io/import/read_text.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "src/core/error.h"

namespace lockstep {

std::string read_text(const std::string& path) {
  const auto refuse = [&](int error) {
    fail(ExitCode::data, "{}: cannot read it: {}.", path, std::strerror(error));
  };
  std::error_code status;
  if (std::filesystem::is_directory(path, status)) refuse(EISDIR);
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) refuse(errno != 0 ? errno : EIO);
  const std::string text(std::istreambuf_iterator<char>(in), {});
  if (!in) refuse(EIO);
  if (text.empty()) fail(ExitCode::data, "{}: the file is empty.", path);
  return text;
}

}  // namespace lockstep

#include "io/repack/output_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "src/core/error.h"

namespace lockstep {

OutputFile::OutputFile(const std::string& path)
    : path_(path),
      temporary_(fmt::format("{}.tmp-{}", path, ::getpid())),
      noted_(temporary_),
      file_(hdf5::File::create(temporary_)) {}

OutputFile::~OutputFile() {
  if (!is_renamed_) ::unlink(temporary_.c_str());
}

void OutputFile::commit() {
  file_.close();
  std::error_code status;
  std::filesystem::rename(temporary_, path_, status);
  if (status) fail(ExitCode::data, "{} cannot be renamed to {}: {}", temporary_, path_, status.message());
  is_renamed_ = true;
}

}  // namespace lockstep

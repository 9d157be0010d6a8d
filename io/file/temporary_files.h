#pragma once

#include <string>

namespace lockstep {

/// Notes a file that is removed if a signal ends this process (remove_temporary_files()). Of more than 16 at
/// a time, further ones are not noted.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& path);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

 private:
  int slot_ = -1;
};

/// Removes the files noted at this moment. Safe in a signal handler.
void remove_temporary_files();

}  // namespace lockstep

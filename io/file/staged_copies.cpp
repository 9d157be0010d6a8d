#include "io/file/staged_copies.h"

#include <map>
#include <mutex>

namespace lockstep {

namespace {

struct StagedCopies {
  std::mutex mutex;
  std::map<std::string, std::string> copy_of;
};

StagedCopies& staged_copies() {
  static StagedCopies copies;
  return copies;
}

}  // namespace

void read_copy_instead(const std::string& original, const std::string& copy) {
  StagedCopies& copies = staged_copies();
  const std::scoped_lock lock(copies.mutex);
  copies.copy_of[original] = copy;
}

std::string staged_place(const std::string& path) {
  StagedCopies& copies = staged_copies();
  const std::scoped_lock lock(copies.mutex);
  const auto found = copies.copy_of.find(path);
  return found == copies.copy_of.end() ? path : found->second;
}

}  // namespace lockstep

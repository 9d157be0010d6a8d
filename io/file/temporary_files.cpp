#include "io/file/temporary_files.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <climits>
#include <cstring>

namespace lockstep {

namespace {

/// Not std::string: the handler may run while one is being made.
struct Slot {
  std::atomic<bool> taken = false, noted = false;
  char path[PATH_MAX] = "";
};

std::array<Slot, 16> slots;
static_assert(std::atomic<bool>::is_always_lock_free);

}  // namespace

TemporaryFile::TemporaryFile(const std::string& path) {
  if (path.size() >= sizeof(Slot::path)) return;
  for (size_t i = 0; i < slots.size(); ++i) {
    if (slots[i].taken.exchange(true)) continue;
    std::memcpy(slots[i].path, path.c_str(), path.size() + 1);
    slots[i].noted = true;
    slot_ = static_cast<int>(i);
    return;
  }
}

TemporaryFile::~TemporaryFile() {
  if (slot_ < 0) return;
  Slot& slot = slots[static_cast<size_t>(slot_)];
  slot.noted = false;
  slot.taken = false;
}

void remove_temporary_files() {
  for (const Slot& slot : slots)
    if (slot.noted) ::unlink(slot.path);
}

}  // namespace lockstep

#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

namespace lockstep {

class World;

/// Selects one of a machine's ranks for a task that only one should do. Needs no message, so it works even if
/// the others hang or are about to be killed. The ranks share a page of memory, which is freed with the last
/// of them.
class FirstOfMachine {
 public:
  /// Collective. If the ranks of a machine cannot share memory, each is selected.
  explicit FirstOfMachine(const World& world);
  FirstOfMachine(const FirstOfMachine&) = delete;
  FirstOfMachine& operator=(const FirstOfMachine&) = delete;

  /// True for the first call among all ranks of the machine. Thread-safe.
  bool claim() { return !taken_->exchange(true); }

 private:
  std::atomic<bool> own_ = false;
  std::shared_ptr<std::byte[]> page_;  ///< shared, begins as zeros; null: not shared
  std::atomic<bool>* taken_ = &own_;   ///< in the page
  static_assert(std::atomic<bool>::is_always_lock_free);
};

}  // namespace lockstep

#pragma once

#include <atomic>

namespace lockstep {

class World;

/// Lets one of the ranks of a machine be the first at something, without a message, so also where the others
/// hang or are about to be killed. The ranks share a page of memory, which ends with the last of them.
class FirstOfMachine {
 public:
  /// Collective. Where the ranks of a machine cannot share memory, each is the first.
  explicit FirstOfMachine(const World& world);
  ~FirstOfMachine();
  FirstOfMachine(const FirstOfMachine&) = delete;
  FirstOfMachine& operator=(const FirstOfMachine&) = delete;

  /// True for the first call of all ranks of the machine, from any thread.
  bool claim() { return !taken_->exchange(true); }

 private:
  std::atomic<bool> own_ = false;
  std::atomic<bool>* taken_ = &own_;  ///< in the shared page, which begins as zeros
  static_assert(std::atomic<bool>::is_always_lock_free);
};

}  // namespace lockstep

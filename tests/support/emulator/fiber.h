#pragma once

// A stack of its own for each thread of a block, switched between by hand, with what the sanitizers must be
// told of it.
#include <cstddef>
#include <functional>

namespace emulator {

class Fiber {
 public:
  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Sets what the next resume() begins with. Whatever the fiber was in the middle of is dropped.
  void start(std::function<void()> body);
  /// Runs the fiber until it calls pause() or its body returns.
  void resume();
  /// Goes back to the resume() that runs this fiber; called on it.
  void pause();
  bool finished() const { return finished_; }

 private:
  static void entry();
  void run();

  std::byte* memory_;                            ///< a page that may not be touched, then the stack
  void *pointer_ = nullptr, *caller_ = nullptr;  ///< stack pointers of what is not running
  std::function<void()> body_;
  bool finished_ = true;
  // For AddressSanitizer and ThreadSanitizer.
  void* fake_stack_ = nullptr;
  const void* caller_stack_ = nullptr;
  size_t caller_stack_size_ = 0;
  void *thread_ = nullptr, *caller_thread_ = nullptr;
};

}  // namespace emulator

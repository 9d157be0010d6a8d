#include "tests/support/emulator/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(EMULATOR_THREAD_SANITIZER)
#include <sanitizer/tsan_interface.h>
#endif

namespace emulator {

namespace {

// Plenty for a kernel, even with the larger frames of AddressSanitizer, which clears its notes of the whole
// stack at each switch.
constexpr size_t kStackBytes = size_t{64} << 10;

size_t page_bytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

}  // namespace

Fiber::Fiber() {
  const size_t page = page_bytes();
  void* memory = mmap(nullptr, page + kStackBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  mprotect(memory, page, PROT_NONE);  // an overflow of the stack ends the program
  memory_ = static_cast<std::byte*>(memory);
#if defined(EMULATOR_THREAD_SANITIZER)
  thread_ = __tsan_create_fiber(0);
#endif
}

Fiber::~Fiber() {
#if defined(EMULATOR_THREAD_SANITIZER)
  __tsan_destroy_fiber(thread_);
#endif
  munmap(memory_, page_bytes() + kStackBytes);
}

void Fiber::start(std::function<void()> body) {
  std::byte* const stack = memory_ + page_bytes();
#if defined(__SANITIZE_ADDRESS__)
  if (!finished_) __asan_unpoison_memory_region(stack, kStackBytes);
#endif
  body_ = std::move(body);
  finished_ = false;
  fake_stack_ = nullptr;
  getcontext(&context_);
  context_.uc_stack.ss_sp = stack;
  context_.uc_stack.ss_size = kStackBytes;
  context_.uc_link = nullptr;
  // makecontext() passes ints only.
  const auto self = reinterpret_cast<uintptr_t>(this);
  makecontext(&context_, reinterpret_cast<void (*)()>(&Fiber::entry), 2, static_cast<unsigned>(self >> 32),
              static_cast<unsigned>(self));
}

void Fiber::resume() {
#if defined(__SANITIZE_ADDRESS__)
  void* own_fake_stack = nullptr;
  __sanitizer_start_switch_fiber(&own_fake_stack, context_.uc_stack.ss_sp, kStackBytes);
#endif
#if defined(EMULATOR_THREAD_SANITIZER)
  caller_thread_ = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(thread_, __tsan_switch_to_fiber_no_sync);
#endif
  swapcontext(&caller_, &context_);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(own_fake_stack, nullptr, nullptr);
#endif
}

void Fiber::pause() {
#if defined(__SANITIZE_ADDRESS__)
  // Null says that this stack is done with.
  __sanitizer_start_switch_fiber(finished_ ? nullptr : &fake_stack_, caller_stack_, caller_stack_size_);
#endif
#if defined(EMULATOR_THREAD_SANITIZER)
  __tsan_switch_to_fiber(caller_thread_, __tsan_switch_to_fiber_no_sync);
#endif
  swapcontext(&context_, &caller_);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake_stack_, &caller_stack_, &caller_stack_size_);
#endif
}

void Fiber::entry(unsigned high, unsigned low) {
  reinterpret_cast<Fiber*>(uintptr_t{high} << 32 | low)->run();
}

void Fiber::run() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &caller_stack_, &caller_stack_size_);
#endif
  body_();
  finished_ = true;
  pause();
}

}  // namespace emulator

#include "tests/support/emulator/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(EMULATOR_THREAD_SANITIZER)
#include <sanitizer/tsan_interface.h>
#endif

// void emulator_switch_stack(void** from, void* to): stores the stack pointer, below the registers that a
// function of the x86-64 System V ABI preserves, in *from, then continues on the stack that `to` points to.
// swapcontext() would make a system call for the signal mask, and AddressSanitizer's version of it clears the
// shadow of a whole stack: half of the time of the tests on the emulated GPU.
asm(R"(
.text
.type emulator_switch_stack, @function
emulator_switch_stack:
  push %rbp
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp, (%rdi)
  mov %rsi, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  pop %rbp
  ret
.size emulator_switch_stack, . - emulator_switch_stack
)");
extern "C" void emulator_switch_stack(void** from, void* to);

// Functions that are on a stack when it is switched away from, perhaps for good, leave no poisoned memory
// there.
#define EMULATOR_NO_ASAN __attribute__((no_sanitize("address")))

namespace emulator {

namespace {

// Plenty for a kernel, even with the larger frames of AddressSanitizer.
constexpr size_t kStackBytes = size_t{64} << 10;

size_t page_bytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

thread_local Fiber* starting = nullptr;  ///< for entry(), which has no arguments

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
  // As emulator_switch_stack() leaves it: six registers and where to go on. entry() finds a return address of
  // 0, which ends a stack trace, and the stack aligned as after a call.
  constexpr size_t kRegisters = 6;
  auto* const words = reinterpret_cast<uintptr_t*>(stack + kStackBytes) - (kRegisters + 2);
  std::fill_n(words, kRegisters + 2, 0);
  words[kRegisters] = reinterpret_cast<uintptr_t>(&Fiber::entry);
  pointer_ = words;
}

EMULATOR_NO_ASAN void Fiber::resume() {
#if defined(__SANITIZE_ADDRESS__)
  void* own_fake_stack = nullptr;
  __sanitizer_start_switch_fiber(&own_fake_stack, memory_ + page_bytes(), kStackBytes);
#endif
#if defined(EMULATOR_THREAD_SANITIZER)
  caller_thread_ = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(thread_, __tsan_switch_to_fiber_no_sync);
#endif
  starting = this;
  emulator_switch_stack(&caller_, pointer_);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(own_fake_stack, nullptr, nullptr);
#endif
}

EMULATOR_NO_ASAN void Fiber::pause() {
#if defined(__SANITIZE_ADDRESS__)
  // Where AddressSanitizer looks for uses after a return, as it does by default since GCC 13, it has a second
  // stack for the frames. It is kept for the next body: it takes megabytes, which would be mapped at each
  // start.
  __sanitizer_start_switch_fiber(&fake_stack_, caller_stack_, caller_stack_size_);
#endif
#if defined(EMULATOR_THREAD_SANITIZER)
  __tsan_switch_to_fiber(caller_thread_, __tsan_switch_to_fiber_no_sync);
#endif
  emulator_switch_stack(&pointer_, caller_);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake_stack_, &caller_stack_, &caller_stack_size_);
#endif
}

EMULATOR_NO_ASAN void Fiber::entry() { starting->run(); }

EMULATOR_NO_ASAN void Fiber::run() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake_stack_, &caller_stack_, &caller_stack_size_);
#endif
  body_();
  finished_ = true;
  pause();
}

}  // namespace emulator

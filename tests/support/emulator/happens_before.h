#pragma once

// Tells ThreadSanitizer what orders the threads of a block: what a thread did before release() is seen by one
// that then calls acquire() with the same object. Nothing without that sanitizer.
#if defined(EMULATOR_THREAD_SANITIZER)
#include <sanitizer/tsan_interface.h>
#endif

namespace emulator {

inline void release([[maybe_unused]] void* object) {
#if defined(EMULATOR_THREAD_SANITIZER)
  __tsan_release(object);
#endif
}

inline void acquire([[maybe_unused]] void* object) {
#if defined(EMULATOR_THREAD_SANITIZER)
  __tsan_acquire(object);
#endif
}

}  // namespace emulator

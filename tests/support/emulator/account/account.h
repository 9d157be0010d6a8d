#pragma once

// The account (include/emulated_account.h), as the emulator sees it.
#include <emulated_account.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include "tests/support/emulator/kernels.h"
#include "tests/support/emulator/runtime.h"

namespace emulator::account {

#if defined(LOCKSTEP_ACCOUNT)
inline constexpr bool kEnabled = true;
#else
inline constexpr bool kEnabled = false;
#endif

#if defined(LOCKSTEP_ACCOUNT)

Label current_label();

/// The number of the first of a graph's nodes, which are about to run.
size_t begin_graph(size_t nodes);
/// Runs a node of a graph.
class NodeScope {
 public:
  NodeScope(size_t number, const Label& label);
  ~NodeScope();
  NodeScope(const NodeScope&) = delete;
  NodeScope& operator=(const NodeScope&) = delete;
};

/// dynamic_shared: the shared memory whose size the launch gave. run_block(number) runs one block.
void count_kernel(const LaunchShape& shape, const Kernel& kernel, std::span<std::byte> dynamic_shared,
                  const std::function<void(uint64_t)>& run_block);
void count_call(std::string_view name, Arithmetic arithmetic, uint64_t flops, uint64_t read_bytes,
                uint64_t written_bytes);
/// The accesses that follow are those of this thread of the block.
void enter_thread(unsigned thread);

/// GPU memory, which is zero and takes host memory only where it is written. Null if it is used up.
void* allocate(size_t bytes);
void release(void* memory, size_t bytes);
/// Makes a result that nobody computes zero: what another type has left there may be NaN, and a step that is
/// not finite updates nothing.
void clear(void* memory, size_t bytes);

#else

inline Label current_label() { return {}; }
inline size_t begin_graph(size_t) { return 0; }
struct NodeScope {
  NodeScope(size_t, const Label&) {}
};
inline void count_kernel(const LaunchShape&, const Kernel&, std::span<std::byte>,
                         const std::function<void(uint64_t)>&) {}
inline void count_call(std::string_view, Arithmetic, uint64_t, uint64_t, uint64_t) {}
inline void enter_thread(unsigned) {}
inline void* allocate(size_t) { return nullptr; }
inline void clear(void*, size_t) {}
inline void release(void*, size_t) {}

#endif

}  // namespace emulator::account

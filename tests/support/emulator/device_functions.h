#pragma once

// What code on the GPU may use beyond C++: qualifiers, built-in variables, barriers, warp functions, atomics.
// Blocks run one after the other, so a block's shared memory is one static object.
#include <math.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <type_traits>

#if defined(LOCKSTEP_ACCOUNT)
#include "tests/support/emulator/account/tsan_calls.h"
#endif
#include "tests/support/emulator/vector_types.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __constant__ static
#define __shared__ static

namespace emulator {

struct BuiltIns {
  uint3 thread, block;
  dim3 block_size, grid_size;
  void* dynamic_shared;
  bool has_waited;
};
/// Of the thread that runs now.
extern BuiltIns built_ins;

/// Where in the source a thread waits.
struct Place {
  const char* file;
  int line;
  const char* function;
};

/// Waits for the kernel before, which has finished anyhow, as kernels run one after the other here.
void wait_for_previous_grid();
void sync_threads(Place place);
/// How many threads, over all of the block, gave a value that is not 0.
int sync_threads_count(Place place, int value);

enum class Exchange { shuffle, up, down, xor_, ballot, sync, gather, matrix };
/// Waits for the lanes of mask, and gives back the 8 bytes of the lane that `exchange` and `argument` name
/// (ballot: the mask of lanes whose bytes are not 0; gather: the address of the bytes of all 32 lanes, until
/// the warp's next exchange). matrix: the bytes are the address of a MatrixAccess.
uint64_t exchange(Place place, Exchange kind, unsigned mask, uint64_t bytes, int argument, int width);

/// What a lane gives a function that reads or writes a matrix with its warp.
struct MatrixAccess {
  const void* address;
  unsigned stride;  ///< in elements
  unsigned element_bytes;
  int layout;
  bool operator==(const MatrixAccess&) const = default;
};

template <typename T>
T shuffle(Place place, Exchange kind, unsigned mask, T value, int argument, int width = 32) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(uint64_t),
                "CUDA shuffles 4 or 8 bytes");
  uint64_t bytes = 0;
  std::memcpy(&bytes, &value, sizeof value);
  bytes = exchange(place, kind, mask, bytes, argument, width);
  std::memcpy(&value, &bytes, sizeof value);
  return value;
}

}  // namespace emulator

inline const uint3& threadIdx = emulator::built_ins.thread;
inline const uint3& blockIdx = emulator::built_ins.block;
inline const dim3& blockDim = emulator::built_ins.block_size;
inline const dim3& gridDim = emulator::built_ins.grid_size;
inline constexpr int warpSize = 32;

#define EMULATOR_HERE(name) (::emulator::Place{__FILE__, __LINE__, name})
#define __syncthreads() ::emulator::sync_threads(EMULATOR_HERE("__syncthreads"))
#define __syncthreads_count(value) \
  ::emulator::sync_threads_count(EMULATOR_HERE("__syncthreads_count"), (value) != 0)
#define __syncthreads_or(value) (__syncthreads_count(value) > 0)
#define __syncthreads_and(value) (__syncthreads_count(!(value)) == 0)

#define cudaGridDependencySynchronize() ::emulator::wait_for_previous_grid()
#define cudaTriggerProgrammaticLaunchCompletion()

#define EMULATOR_SHUFFLE(name, kind, mask, value, ...) \
  ::emulator::shuffle(EMULATOR_HERE(name), ::emulator::Exchange::kind, mask, value, __VA_ARGS__)
#define __shfl_sync(mask, value, ...) EMULATOR_SHUFFLE("__shfl_sync", shuffle, mask, value, __VA_ARGS__)
#define __shfl_up_sync(mask, value, ...) EMULATOR_SHUFFLE("__shfl_up_sync", up, mask, value, __VA_ARGS__)
#define __shfl_down_sync(mask, value, ...) \
  EMULATOR_SHUFFLE("__shfl_down_sync", down, mask, value, __VA_ARGS__)
#define __shfl_xor_sync(mask, value, ...) EMULATOR_SHUFFLE("__shfl_xor_sync", xor_, mask, value, __VA_ARGS__)

#define EMULATOR_VOTE(name, mask, value) \
  static_cast<unsigned>(                 \
      ::emulator::exchange(EMULATOR_HERE(name), ::emulator::Exchange::ballot, mask, (value) ? 1 : 0, 0, 32))
#define __ballot_sync(mask, value) EMULATOR_VOTE("__ballot_sync", mask, value)
#define __any_sync(mask, value) (EMULATOR_VOTE("__any_sync", mask, value) != 0)
#define __all_sync(mask, value) (EMULATOR_VOTE("__all_sync", mask, !(value)) == 0)
// Without an argument: the whole warp.
#define __syncwarp(...)                                                                           \
  static_cast<void>(::emulator::exchange(EMULATOR_HERE("__syncwarp"), ::emulator::Exchange::sync, \
                                         ::emulator::whole_warp(__VA_ARGS__), 0, 0, 32))

/// The shared memory whose size the launch gave. CUDA has `extern __shared__ T name[]` for it, which the
/// host's compiler cannot be taught.
template <typename T>
T* dynamic_shared() {
  return static_cast<T*>(emulator::built_ins.dynamic_shared);
}

namespace emulator {
inline unsigned whole_warp(unsigned mask = 0xffffffffu) { return mask; }

/// *address = change(*address) as one step; gives back what was there.
template <typename T, typename Change>
T atomically(T* address, Change change) {
  std::atomic_ref<T> place(*address);
  T before = place.load(std::memory_order_relaxed);
  while (!place.compare_exchange_weak(before, change(before), std::memory_order_relaxed)) {
  }
  return before;
}
}  // namespace emulator

template <typename T>
T atomicAdd(T* address, std::type_identity_t<T> value) {
  return emulator::atomically(address, [=](T before) { return static_cast<T>(before + value); });
}
template <typename T>
T atomicSub(T* address, std::type_identity_t<T> value) {
  return emulator::atomically(address, [=](T before) { return static_cast<T>(before - value); });
}
template <typename T>
T atomicMax(T* address, std::type_identity_t<T> value) {
  return emulator::atomically(address, [=](T before) { return before < value ? value : before; });
}
template <typename T>
T atomicMin(T* address, std::type_identity_t<T> value) {
  return emulator::atomically(address, [=](T before) { return value < before ? value : before; });
}
template <typename T>
T atomicExch(T* address, std::type_identity_t<T> value) {
  return emulator::atomically(address, [=](T) { return value; });
}
template <typename T>
T atomicCAS(T* address, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  return emulator::atomically(address, [=](T before) { return before == expected ? value : before; });
}
/// From `last` on it starts again at 0.
inline unsigned atomicInc(unsigned* address, unsigned last) {
  const unsigned before =
      emulator::atomically(address, [=](unsigned value) { return value >= last ? 0 : value + 1; });
#if defined(LOCKSTEP_ACCOUNT)
  // Blocks may be left out or run twice, so each gets the number that it would have if all ran in order.
  static_cast<void>(before);
  const uint3 block = blockIdx;
  return (block.z * gridDim.y + block.y) * gridDim.x + block.x;
#else
  return before;
#endif
}
// Blocks run one after the other, so there is nothing to order between them.
inline void __threadfence() {}

// As in CUDA, the smaller and larger of two numbers of any two types; of floats, the one that is a number.
template <typename A, typename B>
auto min(A a, B b) {
  using T = std::common_type_t<A, B>;
  if constexpr (std::is_floating_point_v<T>)
    return static_cast<T>(::fmin(a, b));
  else
    return std::min(static_cast<T>(a), static_cast<T>(b));
}
template <typename A, typename B>
auto max(A a, B b) {
  using T = std::common_type_t<A, B>;
  if constexpr (std::is_floating_point_v<T>)
    return static_cast<T>(::fmax(a, b));
  else
    return std::max(static_cast<T>(a), static_cast<T>(b));
}
#if defined(LOCKSTEP_ACCOUNT)
#define fmaf(a, b, c) ::emulator::account::counted_fmaf(a, b, c)
#endif
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __fdividef(float a, float b) { return a / b; }
template <typename T>
T __ldg(const T* address) {
  return *address;
}
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>((uint64_t{a} * b) >> 32); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
inline unsigned __float_as_uint(float x) {
  unsigned bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
inline float __uint_as_float(unsigned bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

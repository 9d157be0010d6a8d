#include "src/device/elementwise.h"

#include <algorithm>

#ifdef LOCKSTEP_HAVE_CUDA
#include "src/device/cuda_context.h"
#endif

namespace lockstep {

namespace {

/// The sum of `count` vectors' values from number `first` on.
template <typename Value>
float tree_sum(const Value& value, int first, int count) {
  if (count == 1) return value(first);
  return tree_sum(value, first, count / 2) + tree_sum(value, first + count / 2, count / 2);
}

}  // namespace

void add_in_place([[maybe_unused]] Exec exec, float* destination, const float* source, int64_t n) {
#ifdef LOCKSTEP_HAVE_CUDA
  if (exec.on_cuda()) return cuda::add_in_place(exec.cuda->compute_stream(), destination, source, n);
#endif
  for (int64_t i = 0; i < n; ++i) destination[i] += source[i];
}

void add_tree([[maybe_unused]] Exec exec, float* destination, const float* others, int64_t n, int count,
              int position) {
#ifdef LOCKSTEP_HAVE_CUDA
  if (exec.on_cuda())
    return cuda::add_tree(exec.cuda->compute_stream(), destination, others, n, count, position);
#endif
  for (int64_t i = 0; i < n; ++i)
    destination[i] = tree_sum(
        [&](int k) { return k == position ? destination[i] : others[(k < position ? k : k - 1) * n + i]; }, 0,
        count);
}

void copy_few([[maybe_unused]] Exec exec, float* destination, const float* source, int64_t n) {
#ifdef LOCKSTEP_HAVE_CUDA
  if (exec.on_cuda()) return cuda::copy_few(exec.cuda->compute_stream(), destination, source, n);
#endif
  std::copy_n(source, n, destination);
}

}  // namespace lockstep

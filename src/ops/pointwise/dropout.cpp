#include "src/ops/pointwise/dropout.h"

#include <algorithm>

#include "src/core/rng.h"
#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/cuda_ops.h"
#include "src/tensor/real.h"

namespace lockstep {

namespace cpu {
namespace {

template <Real T>
void dropout(const MicroBatchInfo& info, const DropoutSpec& spec, const int64_t* sample_index, int64_t rows,
             int64_t width, const T* x, const T* added, T* y) {
  constexpr int64_t kGroups =
      16;  // a fixed number of counters at a time, so that the compiler vectorizes over them
  const uint64_t key = spec.seed ^ spec.layer;
  const float keep = 1 / (1 - spec.rate);
  for (int64_t row = 0; row < rows; ++row) {
    const T* const x_row = x + row * width;
    const T* const added_row = added == nullptr ? nullptr : added + row * width;
    T* const y_row = y + row * width;
    const uint64_t sample = static_cast<uint64_t>(sample_index[row]);
    for (int64_t first = 0; first < width; first += 4 * kGroups) {
      float factor[4 * kGroups];
      const uint64_t counter = (static_cast<uint64_t>(info.step) << 32) + static_cast<uint64_t>(first / 4);
      for (uint64_t group = 0; group < kGroups; ++group) {
        const Random4 random = philox(key, sample, counter + group);
        for (uint64_t i = 0; i < 4; ++i)
          factor[4 * group + i] = uniform(random.word[i]) < spec.rate ? 0 : keep;
      }
      const int64_t count = std::min(4 * kGroups, width - first);
      if (added_row == nullptr)
        for (int64_t i = 0; i < count; ++i) y_row[first + i] = T(x_row[first + i] * factor[i]);
      else
        for (int64_t i = 0; i < count; ++i)
          y_row[first + i] = T(x_row[first + i] * factor[i] + added_row[first + i]);
    }
  }
}

}  // namespace
}  // namespace cpu

void dropout(Exec exec, const MicroBatchInfo* info, const DropoutSpec& spec, ConstTensor sample_index,
             ConstTensor x, Tensor y, ConstTensor added) {
  INVARIANT(spec.rate >= 0 && spec.rate < 1, "dropout: rate {} is not in [0, 1)", spec.rate);
  INVARIANT(x.shape().rank() > 0, "dropout: x has no batch axis");
  expect(sample_index, DType::i64, {x.shape()[0]}, "dropout: sample_index");
  expect_real(y, x.shape(), "dropout: y");
  expect(x, y.dtype(), y.shape(), "dropout: x");
  if (added) expect(added, y.dtype(), y.shape(), "dropout: added");
  if (is_empty(y)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::dropout(exec, info, spec, sample_index, x, y, added);
  }
  const int64_t rows = x.shape()[0];
  with_cpu_real(y.dtype(), [&]<Real T>(T) {
    cpu::dropout(*info, spec, sample_index.data<int64_t>(), rows, x.elements() / rows, x.data<T>(),
                 added.data<T>(), y.data<T>());
  });
}

}  // namespace lockstep

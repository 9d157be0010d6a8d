#include "src/device/elementwise_kernels.h"
#include "src/device/kernels/previous_kernel.h"
#include "src/ops/cuda_ops.h"
#include "src/tensor/real.h"

namespace lockstep::cuda {

namespace {

constexpr int kBlock = 256;

/// Each is a number, or a pack of them where all extents are multiples of its size.
template <typename Each>
__global__ void copy_columns_kernel(int64_t columns, const Each* x, int64_t x_columns, Each* y,
                                    int64_t y_columns, int64_t n) {
  wait_for_previous_kernel();
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    const int64_t row = i / columns, column = i % columns;
    y[row * y_columns + column] = x[row * x_columns + column];
  }
}

template <typename Each, Real T>
void copy_as(Exec exec, int64_t rows, int64_t columns, const T* x, int64_t x_columns, T* y,
             int64_t y_columns) {
  constexpr int64_t kCount = sizeof(Each) / sizeof(T);
  const int64_t n = rows * columns / kCount;
  launch(copy_columns_kernel<Each>, blocks_for(n, kBlock), kBlock, 0, compute_stream(exec), columns / kCount,
         reinterpret_cast<const Each*>(x), x_columns / kCount, reinterpret_cast<Each*>(y), y_columns / kCount,
         n);
}

}  // namespace

void copy_columns(Exec exec, int64_t columns, ConstTensor x, int64_t x_first, Tensor y, int64_t y_first) {
  const int64_t rows = x.shape()[0], x_columns = x.shape()[1], y_columns = y.shape()[1];
  with_real(y.dtype(), [&]<Real T>(T) {
    const T* const from = x.data<T>() + x_first;
    T* const to = y.data<T>() + y_first;
    const bool by_packs = (columns | x_columns | y_columns) % Pack<T>::kCount == 0;
    if (by_packs && is_vector_aligned(from) && is_vector_aligned(to))
      copy_as<Pack<T>>(exec, rows, columns, from, x_columns, to, y_columns);
    else
      copy_as<T>(exec, rows, columns, from, x_columns, to, y_columns);
  });
}

}  // namespace lockstep::cuda

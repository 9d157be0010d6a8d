#include "src/device/launch.h"
#include "src/ops/cuda_ops.h"

namespace lockstep::cuda {

namespace {

constexpr int kBlock = 256;

/// T is float, or float4 where all extents are multiples of four.
template <typename T>
__global__ void copy_columns_kernel(int64_t columns, const T* x, int64_t x_columns, T* y, int64_t y_columns,
                                    int64_t n) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    const int64_t row = i / columns, column = i % columns;
    y[row * y_columns + column] = x[row * x_columns + column];
  }
}

template <typename T>
void copy_as(Exec exec, int64_t rows, int64_t columns, const float* x, int64_t x_columns, float* y,
             int64_t y_columns) {
  constexpr int64_t kFloats = sizeof(T) / sizeof(float);
  const int64_t n = rows * columns / kFloats;
  launch(copy_columns_kernel<T>, blocks_for(n, kBlock), kBlock, 0, compute_stream(exec), columns / kFloats,
         reinterpret_cast<const T*>(x), x_columns / kFloats, reinterpret_cast<T*>(y), y_columns / kFloats, n);
}

}  // namespace

void copy_columns(Exec exec, int64_t columns, ConstTensor x, int64_t x_first, Tensor y, int64_t y_first) {
  const int64_t rows = x.shape()[0], x_columns = x.shape()[1], y_columns = y.shape()[1];
  const float* const from = x.data<float>() + x_first;
  float* const to = y.data<float>() + y_first;
  const bool by_four = (columns | x_columns | y_columns) % 4 == 0;
  if (by_four && is_vector_aligned(from) && is_vector_aligned(to))
    copy_as<float4>(exec, rows, columns, from, x_columns, to, y_columns);
  else
    copy_as<float>(exec, rows, columns, from, x_columns, to, y_columns);
}

}  // namespace lockstep::cuda

#include "src/device/kernels/launch.h"
#include "src/device/kernels/previous_kernel.h"
#include "src/ops/cuda_ops.h"
#include "src/tensor/real.h"

namespace lockstep::cuda {

namespace {

constexpr int kBlock = 256;

/// Extents of a tensor (N, D, H, W, C).
struct Grid {
  int64_t depth, height, width, channels;
};

/// y (N, grid) reads x (N, other) at its own coordinates minus (front, top, left), and is zero where those
/// lie outside of x. With negative coordinates it crops.
template <Real T>
__global__ void pad_kernel(Grid grid, Grid other, int64_t front, int64_t top, int64_t left, const T* x, T* y,
                           int64_t count) {
  wait_for_previous_kernel();
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += stride) {
    const int64_t c = i % grid.channels, pixel = i / grid.channels, line = pixel / grid.width;
    const int64_t plane = line / grid.height, n = plane / grid.depth;
    const int64_t d = plane % grid.depth - front, h = line % grid.height - top, w = pixel % grid.width - left;
    const bool inside = d >= 0 && d < other.depth && h >= 0 && h < other.height && w >= 0 && w < other.width;
    const int64_t from = (((n * other.depth + d) * other.height + h) * other.width + w) * grid.channels + c;
    y[i] = inside ? x[from] : T(0);
  }
}

}  // namespace

void pad_forward(Exec exec, const PadSpec& spec, ConstTensor x, Tensor y) {
  const int64_t count = y.elements();
  const Grid inner{spec.extents[0], spec.extents[1], spec.extents[2], spec.channels};
  const Grid outer{spec.outputs(0), spec.outputs(1), spec.outputs(2), spec.channels};
  with_real(y.dtype(), [&]<Real T>(T) {
    launch(pad_kernel<T>, blocks_for(count, kBlock), kBlock, 0, compute_stream(exec), outer, inner,
           spec.before[0], spec.before[1], spec.before[2], x.data<T>(), y.data<T>(), count);
  });
}

void pad_backward(Exec exec, const PadSpec& spec, ConstTensor dy, Tensor dx) {
  const int64_t count = dx.elements();
  const Grid inner{spec.extents[0], spec.extents[1], spec.extents[2], spec.channels};
  const Grid outer{spec.outputs(0), spec.outputs(1), spec.outputs(2), spec.channels};
  with_real(dx.dtype(), [&]<Real T>(T) {
    launch(pad_kernel<T>, blocks_for(count, kBlock), kBlock, 0, compute_stream(exec), inner, outer,
           -spec.before[0], -spec.before[1], -spec.before[2], dy.data<T>(), dx.data<T>(), count);
  });
}

}  // namespace lockstep::cuda

#include "src/device/kernels/launch.h"
#include "src/device/kernels/long_sum.h"
#include "src/device/kernels/previous_kernel.h"
#include "src/ops/cuda_ops.h"
#include "src/tensor/real.h"

namespace lockstep::cuda {

namespace {

constexpr int kBlock = 256, kChannelTile = 32, kPositionTile = 8;

template <Real T>
__global__ void scale_channels_kernel(const T* x, const T* b, T* y, int64_t positions, int64_t channels,
                                      int64_t n) {
  wait_for_previous_kernel();
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride)
    y[i] = T(x[i] * b[i / (positions * channels) * channels + i % channels]);
}

/// One block sums up to 32 channels of one sample over its positions.
template <Real T>
__global__ void sum_products_kernel(const T* a, const T* dy, T* db, int64_t samples, int64_t positions,
                                    int64_t channels) {
  wait_for_previous_kernel();
  __shared__ double tile[kPositionTile][kChannelTile];
  const int64_t tiles = (channels + kChannelTile - 1) / kChannelTile;
  for (int64_t block = blockIdx.x; block < samples * tiles; block += gridDim.x) {
    const int64_t sample = block / tiles, channel = block % tiles * kChannelTile + threadIdx.x;
    LongSum mine;
    if (channel < channels)
      for (int64_t p = threadIdx.y; p < positions; p += kPositionTile) {
        const int64_t i = (sample * positions + p) * channels + channel;
        mine.add(dy[i] * a[i]);
      }
    double sum = mine.value();
    tile[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y == 0 && channel < channels) {
      for (int i = 1; i < kPositionTile; ++i) sum += tile[i][threadIdx.x];
      db[sample * channels + channel] = T(static_cast<float>(sum));
    }
    __syncthreads();  // the next round writes the tile
  }
}

template <Real T>
void scale_channels(Exec exec, const Shape& shape, const T* x, const T* b, T* y) {
  const int64_t n = shape.elements();
  launch(scale_channels_kernel<T>, blocks_for(n, kBlock), kBlock, 0, compute_stream(exec), x, b, y, shape[1],
         shape[2], n);
}

}  // namespace

void multiply_forward(Exec exec, ConstTensor a, ConstTensor b, Tensor y) {
  with_real(y.dtype(),
            [&]<Real T>(T) { scale_channels(exec, a.shape(), a.data<T>(), b.data<T>(), y.data<T>()); });
}

void multiply_backward(Exec exec, ConstTensor a, ConstTensor b, ConstTensor dy, Tensor da, Tensor db) {
  const int64_t samples = a.shape()[0], positions = a.shape()[1], channels = a.shape()[2];
  const int64_t tiles = (channels + kChannelTile - 1) / kChannelTile;
  with_real(dy.dtype(), [&]<Real T>(T) {
    // First, because da may overwrite dy.
    if (db)
      launch(sum_products_kernel<T>, blocks_for(samples * tiles, 1), dim3(kChannelTile, kPositionTile), 0,
             compute_stream(exec), a.data<T>(), dy.data<T>(), db.data<T>(), samples, positions, channels);
    if (da) scale_channels(exec, a.shape(), dy.data<T>(), b.data<T>(), da.data<T>());
  });
}

}  // namespace lockstep::cuda

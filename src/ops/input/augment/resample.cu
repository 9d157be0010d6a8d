#include "src/device/kernels/launch.h"
#include "src/device/kernels/previous_kernel.h"
#include "src/ops/input/augment/resample.h"

namespace lockstep::cuda {

namespace {

constexpr int kBlock = 256;

/// Depth, height, width.
struct Extents3 {
  int64_t extent[3];
};

__device__ int64_t clamped(int64_t index, int64_t extent) { return max(int64_t{0}, min(extent - 1, index)); }

/// One value of a sample x at a position of each input axis that is inside.
__device__ int32_t value_at(const int32_t* x, const Extents3& in, int64_t channels, const int64_t* position,
                            bool /*nearest*/) {
  int64_t index = 0;
  for (int a = 0; a < 3; ++a)
    index = index * in.extent[a] + clamped((position[a] + kPositionOne / 2) >> kPositionBits, in.extent[a]);
  return x[index * channels];
}

__device__ float value_at(const float* x, const Extents3& in, int64_t channels, const int64_t* position,
                          bool nearest) {
  int64_t below[3];
  float fraction[3];
  for (int a = 0; a < 3; ++a) {
    const int64_t at = nearest ? position[a] + kPositionOne / 2 : position[a];
    below[a] = at >> kPositionBits;
    fraction[a] = nearest ? 0.0f : static_cast<float>(at & (kPositionOne - 1)) * (1.0f / kPositionOne);
  }
  float sum = 0.0f;
  for (int corner = 0; corner < 8; ++corner) {
    int64_t index = 0;
    float weight = 1.0f;
    for (int a = 0; a < 3; ++a) {
      const int upper = corner >> (2 - a) & 1;
      weight *= upper ? fraction[a] : 1.0f - fraction[a];
      index = index * in.extent[a] + clamped(below[a] + upper, in.extent[a]);
    }
    // A weight of 0 must not turn infinity into NaN.
    if (weight != 0.0f) sum += weight * x[index * channels];
  }
  return sum;
}

template <typename T>
__global__ void resample_kernel(const Placement* placements, const T* fill, const T* x, T* y, Extents3 in,
                                Extents3 out, int64_t channels, bool nearest, int64_t n) {
  wait_for_previous_kernel();
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  const int64_t sample_elements = in.extent[0] * in.extent[1] * in.extent[2] * channels;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    const int64_t c = i % channels;
    int64_t rest = i / channels;
    int64_t at[3];
    for (int a = 2; a >= 0; --a) {
      at[a] = rest % out.extent[a];
      rest /= out.extent[a];
    }
    const Placement& placement = placements[rest];
    int64_t position[3];
    bool is_inside = true;
    for (int a = 0; a < 3; ++a) {
      const int64_t axis = placement.axis[a];
      position[axis] = placement.start[a] + placement.step[a] * at[a];
      is_inside = is_inside && position[axis] >= -kPositionOne / 2 &&
                  position[axis] < in.extent[axis] * kPositionOne - kPositionOne / 2;
    }
    y[i] = is_inside ? value_at(x + rest * sample_elements + c, in, channels, position, nearest) : fill[c];
  }
}

template <typename T>
void run(Exec exec, const ResampleSpec& spec, ConstTensor placements, ConstTensor fill, ConstTensor x,
         Tensor y) {
  const int64_t n = y.elements();
  launch(resample_kernel<T>, blocks_for(n, kBlock), kBlock, 0, compute_stream(exec),
         reinterpret_cast<const Placement*>(placements.data<int64_t>()), fill.data<T>(), x.data<T>(),
         y.data<T>(), Extents3{{spec.in[0], spec.in[1], spec.in[2]}},
         Extents3{{spec.out[0], spec.out[1], spec.out[2]}}, spec.channels, spec.nearest, n);
}

}  // namespace

void resample(Exec exec, const ResampleSpec& spec, ConstTensor placements, ConstTensor fill, ConstTensor x,
              Tensor y) {
  if (x.dtype() == DType::f32)
    run<float>(exec, spec, placements, fill, x, y);
  else
    run<int32_t>(exec, spec, placements, fill, x, y);
}

}  // namespace lockstep::cuda

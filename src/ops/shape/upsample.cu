#include "src/device/kernels/launch.h"
#include "src/device/kernels/previous_kernel.h"
#include "src/ops/cuda_ops.h"
#include "src/tensor/real.h"

namespace lockstep::cuda {

namespace {

constexpr int kBlock = 256;

/// One axis. Weights are whole numbers of 1 / unit(): coordinates in float have too few digits for the
/// weights far from 0, and for sums whose terms cancel.
struct Axis {
  int64_t inputs, factor;
  bool linear;

  __device__ int64_t outputs() const { return inputs * factor; }
  /// Units in the distance of two inputs; centres of outputs lie on whole units.
  __host__ __device__ int64_t unit() const { return linear ? 2 * factor : 1; }
  /// Units from the centre of input 0 to that of an output; what is beyond the border counts as on it.
  __device__ int64_t centre(int64_t output) const {
    return min(max(2 * output + 1 - factor, int64_t{0}), unit() * (inputs - 1));
  }
  /// The weight with which an output reads an input: a triangle around the input's centre.
  __device__ int64_t weight(int64_t input, int64_t output) const {
    if (!linear) return output / factor == input ? 1 : 0;
    const int64_t beyond = centre(output) - unit() * input;
    return max(int64_t{0}, unit() - max(beyond, -beyond));
  }
  __device__ int64_t first_input(int64_t output) const {
    return linear ? centre(output) / unit() : output / factor;
  }
  __device__ int64_t last_input(int64_t output) const {
    return linear ? min(inputs - 1, first_input(output) + 1) : output / factor;
  }
  __device__ int64_t first_output(int64_t input) const {
    return linear ? max(int64_t{0}, (input - 1) * factor) : input * factor;
  }
  __device__ int64_t last_output(int64_t input) const {
    return linear ? min(outputs() - 1, (input + 2) * factor - 1) : input * factor + factor - 1;
  }
};

struct Axes {
  Axis d, h, w;
  int64_t channels;
  double scale;  ///< 1 / units of the three axes
  explicit Axes(const UpsampleSpec& spec)
      : d{spec.extents[0], spec.factors[0], spec.linear},
        h{spec.extents[1], spec.factors[1], spec.linear},
        w{spec.extents[2], spec.factors[2], spec.linear},
        channels(spec.channels),
        scale(1.0 / static_cast<double>(d.unit() * h.unit() * w.unit())) {}
};

struct Position {
  int64_t n, d, h, w, c;
};

__device__ Position position_of(int64_t i, int64_t depth, int64_t height, int64_t width, int64_t channels) {
  Position at;
  at.c = i % channels;
  at.w = i / channels % width;
  at.h = i / channels / width % height;
  at.d = i / channels / width / height % depth;
  at.n = i / channels / width / height / depth;
  return at;
}

template <Real T>
__global__ void upsample_kernel(Axes axes, const T* x, T* y, int64_t n) {
  wait_for_previous_kernel();
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    const Position out = position_of(i, axes.d.outputs(), axes.h.outputs(), axes.w.outputs(), axes.channels);
    double sum = 0.0;
    for (int64_t d = axes.d.first_input(out.d); d <= axes.d.last_input(out.d); ++d)
      for (int64_t h = axes.h.first_input(out.h); h <= axes.h.last_input(out.h); ++h)
        for (int64_t w = axes.w.first_input(out.w); w <= axes.w.last_input(out.w); ++w) {
          const int64_t weight = axes.d.weight(d, out.d) * axes.h.weight(h, out.h) * axes.w.weight(w, out.w);
          // A weight of 0 must not turn infinity into NaN.
          if (weight == 0) continue;
          sum += static_cast<double>(weight) *
                 x[(((out.n * axes.d.inputs + d) * axes.h.inputs + h) * axes.w.inputs + w) * axes.channels +
                   out.c];
        }
    y[i] = T(static_cast<float>(sum * axes.scale));
  }
}

template <Real T>
__global__ void upsample_gradient_kernel(Axes axes, const T* dy, T* dx, int64_t n) {
  wait_for_previous_kernel();
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    const Position in = position_of(i, axes.d.inputs, axes.h.inputs, axes.w.inputs, axes.channels);
    double sum = 0.0;
    for (int64_t d = axes.d.first_output(in.d); d <= axes.d.last_output(in.d); ++d)
      for (int64_t h = axes.h.first_output(in.h); h <= axes.h.last_output(in.h); ++h)
        for (int64_t w = axes.w.first_output(in.w); w <= axes.w.last_output(in.w); ++w) {
          const int64_t weight = axes.d.weight(in.d, d) * axes.h.weight(in.h, h) * axes.w.weight(in.w, w);
          if (weight == 0) continue;
          sum += static_cast<double>(weight) *
                 dy[(((in.n * axes.d.outputs() + d) * axes.h.outputs() + h) * axes.w.outputs() + w) *
                        axes.channels +
                    in.c];
        }
    dx[i] = T(static_cast<float>(sum * axes.scale));
  }
}

}  // namespace

void upsample_forward(Exec exec, const UpsampleSpec& spec, ConstTensor x, Tensor y) {
  const int64_t n = y.elements();
  with_real(y.dtype(), [&]<Real T>(T) {
    launch(upsample_kernel<T>, blocks_for(n, kBlock), kBlock, 0, compute_stream(exec), Axes(spec),
           x.data<T>(), y.data<T>(), n);
  });
}

void upsample_backward(Exec exec, const UpsampleSpec& spec, ConstTensor dy, Tensor dx) {
  const int64_t n = dx.elements();
  with_real(dx.dtype(), [&]<Real T>(T) {
    launch(upsample_gradient_kernel<T>, blocks_for(n, kBlock), kBlock, 0, compute_stream(exec), Axes(spec),
           dy.data<T>(), dx.data<T>(), n);
  });
}

}  // namespace lockstep::cuda

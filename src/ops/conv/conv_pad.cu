#include "src/device/kernels/launch.h"
#include "src/device/kernels/previous_kernel.h"
#include "src/ops/conv/conv_geometry.h"
#include "src/ops/conv/conv_kernels.h"
#include "src/tensor/real.h"

namespace lockstep::cuda {

namespace {

constexpr int kBlock = 256;

/// to[position] = from[position + shift], or zero outside of `from`.
template <Real T>
__global__ void shifted_copy_kernel(const T* from, T* to, Triple from_extents, Triple to_extents,
                                    Triple shift, int64_t channels, int64_t n) {
  wait_for_previous_kernel();
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    const SamplePosition position = position_of(i / channels, to_extents);
    const int64_t a = position.at.a + shift.a, b = position.at.b + shift.b, c = position.at.c + shift.c;
    const bool inside =
        a >= 0 && a < from_extents.a && b >= 0 && b < from_extents.b && c >= 0 && c < from_extents.c;
    to[i] =
        inside ? from[index_of(position.sample, a, b, c, from_extents) * channels + i % channels] : T(0.0f);
  }
}

void shifted_copy(Exec exec, const ConvSpec& spec, const void* from, void* to, const Triple& from_extents,
                  const Triple& to_extents, const Triple& shift) {
  const int64_t n = spec.samples * to_extents.product() * spec.channels;
  if (n == 0) return;
  with_real(spec.type, [&]<Real T>(T) {
    launch(shifted_copy_kernel<T>, blocks_for(n, kBlock), kBlock, 0, compute_stream(exec),
           static_cast<const T*>(from), static_cast<T*>(to), from_extents, to_extents, shift, spec.channels,
           n);
  });
}

Triple padded_extents(const ConvSpec& spec) {
  return ConvGeometry::of(spec, [](const ConvAxis& axis) { return axis.padded(); });
}

}  // namespace

void conv_pad(Exec exec, const ConvSpec& spec, ConstTensor x, void* padded) {
  const ConvGeometry g(spec);
  shifted_copy(exec, spec, x.raw(), padded, g.in, padded_extents(spec),
               {-g.padding.a, -g.padding.b, -g.padding.c});
}

void conv_crop(Exec exec, const ConvSpec& spec, const void* padded, Tensor x) {
  const ConvGeometry g(spec);
  shifted_copy(exec, spec, padded, x.raw(), padded_extents(spec), g.in, g.padding);
}

}  // namespace lockstep::cuda

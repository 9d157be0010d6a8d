#include "tests/support/backend.h"

#include <stdlib.h>

#include "src/device/devices.h"
#include "src/tensor/narrow.h"
#ifdef LOCKSTEP_HAVE_CUDA
#include "src/device/cuda_context.h"
#endif

namespace lockstep::test {

#ifdef LOCKSTEP_EMULATED_CUDA
namespace {
/// The emulator shows the tests as many GPUs as the largest of them has ranks.
[[maybe_unused]] const int kEmulatedGpus = setenv("LOCKSTEP_EMULATED_GPUS", "4", /*overwrite=*/0);
}  // namespace
#endif

void use_backend(Backend backend, [[maybe_unused]] Exec& exec, [[maybe_unused]] int gpu, int gpus) {
  if (backend == Backend::cpu) return;
  const DeviceReport report = find_devices();
  if (report.gpus.empty()) GTEST_SKIP() << "no GPU: " << report.reason;
  if (static_cast<int>(report.gpus.size()) < gpus)
    GTEST_SKIP() << gpus << " ranks need as many GPUs, and there are " << report.gpus.size();
#ifdef LOCKSTEP_HAVE_CUDA
  static CudaContext context(gpu);
  exec.cuda = &context;
#endif
}

void to_backend(Exec exec, const Tensor& destination, const std::vector<float>& values) {
  const auto count = static_cast<size_t>(destination.elements());
  if (destination.dtype() == DType::f32)
    return to_backend(exec, std::span(destination.data<float>(), count), values);
  INVARIANT(values.size() == count, "{} values for {}", values.size(), count);
  std::vector<uint16_t> narrow(count);
  cpu::narrow(destination.dtype(), values.data(), narrow.data(), destination.elements());
  to_backend(exec, std::span(static_cast<uint16_t*>(destination.raw()), count), narrow);
}

std::vector<float> from_backend(Exec exec, const ConstTensor& source) {
  const auto count = static_cast<size_t>(source.elements());
  if (source.dtype() == DType::f32) return from_backend(exec, std::span(source.data<float>(), count));
  const std::vector<uint16_t> narrow =
      from_backend(exec, std::span(static_cast<const uint16_t*>(source.raw()), count));
  std::vector<float> values(count);
  cpu::widen(source.dtype(), narrow.data(), values.data(), source.elements());
  return values;
}

std::vector<float> random_values(int64_t count, uint64_t seed, float low, float high) {
  RandomStream stream(seed, 0x7e57);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = low + (high - low) * stream.next_uniform();
  return values;
}

}  // namespace lockstep::test

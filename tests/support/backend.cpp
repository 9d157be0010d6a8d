#include "tests/support/backend.h"

#include <stdlib.h>

#include "src/device/devices.h"
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

std::vector<float> random_values(int64_t count, uint64_t seed, float low, float high) {
  RandomStream stream(seed, 0x7e57);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = low + (high - low) * stream.next_uniform();
  return values;
}

}  // namespace lockstep::test

#include "src/device/device.h"

#include "src/core/error.h"

#ifdef LOCKSTEP_HAVE_CUDA
#include "src/device/cuda_context.h"
#else
namespace lockstep {
/// Never instantiated in a build without CUDA.
class CudaContext {};
}  // namespace lockstep
#endif

namespace lockstep {

Device::Device() = default;

Device::Device([[maybe_unused]] int gpu) {
#ifdef LOCKSTEP_HAVE_CUDA
  cuda_ = std::make_unique<CudaContext>(gpu);
#else
  fail(ExitCode::bug, "GPU {} was chosen in a build without CUDA", gpu);
#endif
}

Device::~Device() = default;
Device::Device(Device&&) noexcept = default;
Device& Device::operator=(Device&&) noexcept = default;

Exec Device::exec() const { return {.cuda = cuda_.get()}; }

}  // namespace lockstep

// The emulated machine: its GPUs and how kernels are launched on them.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "tests/support/emulator/account/account.h"
#include "tests/support/emulator/block.h"
#include "tests/support/emulator/error.h"
#include "tests/support/emulator/kernels.h"
#include "tests/support/emulator/queue.h"
#include "tests/support/emulator/runtime.h"
#include "tests/support/emulator/stream.h"

namespace emulator {

namespace {

// Compute capability 9.0: the table "Technical Specifications per Compute Capability" of the CUDA C++
// Programming Guide.
constexpr size_t kSharedBytes = 48 << 10;
constexpr size_t kLargestSharedBytes = 227 << 10;
constexpr unsigned kThreads = 1024, kDepth = 64, kGridYZ = 65535, kGridX = 0x7fffffff;

int device_count() {
  const char* count = std::getenv("LOCKSTEP_EMULATED_GPUS");
  return count == nullptr ? static_cast<int>(account::kEnabled) : std::atoi(count);
}

thread_local int current_device = 0;

/// What cudaFuncSetAttribute() has raised the limit to.
std::map<const void*, size_t>& shared_limits() {
  static std::map<const void*, size_t> limits;
  return limits;
}

bool fits(const LaunchShape& shape, const void* kernel) {
  const dim3 &grid = shape.grid, &block = shape.block;
  const auto raised = shared_limits().find(kernel);
  const size_t shared = raised == shared_limits().end() ? kSharedBytes : raised->second;
  return grid.x > 0 && grid.y > 0 && grid.z > 0 && grid.x <= kGridX && grid.y <= kGridYZ &&
         grid.z <= kGridYZ && block.x > 0 && block.y > 0 && block.z > 0 && block.z <= kDepth &&
         uint64_t{block.x} * block.y * block.z <= kThreads && shape.shared_bytes <= shared;
}

/// What a block finds in its shared memory is nothing it can use. Not memset(): where AddressSanitizer
/// lengthens a variable to guard its end, that would look like a mistake.
__attribute__((no_sanitize("address"))) void fill_with_garbage(std::span<std::byte> memory) {
  for (volatile std::byte& byte : memory) byte = std::byte{0xff};
}

void run_kernel(const LaunchShape& shape, const void* address, const std::function<void()>& body) {
  const Kernel& kernel = find_kernel(address);
  note_launch(kernel.name);
  const uint64_t blocks = uint64_t{shape.grid.x} * shape.grid.y * shape.grid.z;
  std::vector<std::byte> shared(shape.shared_bytes);
  const auto run = [&](uint64_t block) {
    run_block({static_cast<unsigned>(block % shape.grid.x),
               static_cast<unsigned>(block / shape.grid.x % shape.grid.y),
               static_cast<unsigned>(block / shape.grid.x / shape.grid.y)},
              shape.block, shape.grid, body, kernel.name);
  };
  built_ins.dynamic_shared = shared.data();
  if (account::kEnabled) return account::count_kernel(shape, kernel, shared, run);
  // Blocks start anywhere, so that no kernel can rely on their order.
  const uint64_t first = random_below(static_cast<unsigned>(std::min<uint64_t>(blocks, 0xffffffff)));
  for (uint64_t i = 0; i < blocks; ++i) {
    const uint64_t block = (first + i) % blocks;
    for (const std::span<std::byte> variable : kernel.shared) fill_with_garbage(variable);
    std::fill(shared.begin(), shared.end(), std::byte{0xff});
    run(block);
  }
}

}  // namespace

int launch_kernel(const LaunchShape& shape, const void* kernel, std::function<void()> body) {
  return running([&] {
    if (!fits(shape, kernel)) return cudaErrorInvalidConfiguration;
    const std::shared_ptr<Capture> capture = shape.stream->capture;
    if (shape.early && capture != nullptr) {
      const std::vector<size_t> before = capture->last(shape.stream);
      if (before.size() != 1 || !capture->nodes[before.front()].is_kernel) return cudaErrorInvalidValue;
    }
    enqueue(shape.stream, [=, body = std::move(body)] { run_kernel(shape, kernel, body); });
    if (capture != nullptr) capture->mark_kernel(shape.stream);
    return cudaSuccess;
  });
}

}  // namespace emulator

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute, int value) {
  return emulator::running([&] {
    if (value < 0 || static_cast<size_t>(value) > emulator::kLargestSharedBytes) return cudaErrorInvalidValue;
    emulator::shared_limits()[kernel] = static_cast<size_t>(value);
    return cudaSuccess;
  });
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = emulator::device_count() > 0 ? CUDART_VERSION : 0;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = emulator::device_count();
  return emulator::report(*count > 0 ? cudaSuccess : cudaErrorNoDevice);
}

cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= emulator::device_count()) return emulator::report(cudaErrorInvalidDevice);
  emulator::current_device = device;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
  *device = emulator::current_device;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device < 0 || device >= emulator::device_count()) return emulator::report(cudaErrorInvalidDevice);
  *properties = {};
  std::snprintf(properties->name, sizeof properties->name, "Emulated GPU");
  // The same for every process of this host, as a real one is.
  properties->uuid.bytes[0] = static_cast<char>(device + 1);
  gethostname(properties->uuid.bytes + 1, sizeof properties->uuid.bytes - 1);
  size_t free_bytes = 0;
  cudaMemGetInfo(&free_bytes, &properties->totalGlobalMem);
  properties->major = 9;
  properties->multiProcessorCount = 132;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetPCIBusId(char* id, int length, int device) {
  if (device < 0 || device >= emulator::device_count()) return emulator::report(cudaErrorInvalidDevice);
  std::snprintf(id, static_cast<size_t>(length), "0000:%02X:00.0", device + 1);
  return cudaSuccess;
}

cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  *least = 0;
  *greatest = -5;
  return cudaSuccess;
}

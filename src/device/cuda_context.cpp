#include "src/device/cuda_context.h"

#include "src/device/exec.h"
#include "src/device/kernels/launch.h"

namespace lockstep {

namespace {

/// Calls cudaSetDevice first in a constructor, before any member creates a stream.
int select_device(int device) {
  CHECK(cudaSetDevice(device));
  return device;
}

}  // namespace

CudaContext::CudaContext(int device) : device_(select_device(device)) {
  int lowest = 0, highest = 0;
  CHECK(cudaDeviceGetStreamPriorityRange(&lowest, &highest));
  CHECK(cudaStreamCreateWithPriority(compute_.out(), cudaStreamNonBlocking, lowest));
  CHECK(cudaStreamCreateWithPriority(communication_.out(), cudaStreamNonBlocking, highest));
  CHECK(cublasLtCreate(cublas_.out()));
  CHECK(cudnnCreate(cudnn_.out()));
  CHECK(cudnnSetStream(cudnn_.get(), compute_.get()));
  CHECK(cudaEventCreateWithFlags(event_.out(), cudaEventDisableTiming));
  CHECK(cudaMalloc(scratch_.out(), kScratchBytes));
  CHECK(cudaMalloc(block_counter_.out(), sizeof(unsigned)));
  CHECK(cudaMemsetAsync(block_counter_.get(), 0, sizeof(unsigned), compute_.get()));
}

void CudaContext::order(cudaStream_t earlier, cudaStream_t later) {
  CHECK(cudaEventRecord(event_.get(), earlier));
  CHECK(cudaStreamWaitEvent(later, event_.get(), 0));
}

cudaStream_t compute_stream(Exec exec) { return exec.cuda->compute_stream(); }

void* scratch(Exec exec) { return exec.cuda->scratch(); }

unsigned* block_counter(Exec exec) { return exec.cuda->block_counter(); }

}  // namespace lockstep

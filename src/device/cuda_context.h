#pragma once

#include "src/device/cuda_check.h"
#include "src/device/libraries/cudnn_plan.h"
#include "src/device/libraries/handle.h"
#include "src/device/libraries/library_check.h"

namespace lockstep {

using Stream = Handle<cudaStream_t, cudaStreamDestroy>;
using GpuEvent = Handle<cudaEvent_t, cudaEventDestroy>;
using DeviceMemory = Handle<void*, cudaFree>;
using CublasLtHandle = Handle<cublasLtHandle_t, cublasLtDestroy>;
using CudnnHandle = Handle<cudnnHandle_t, cudnnDestroy>;

/// The streams and library handles of one GPU; one per rank. Used only from the thread that created it.
class CudaContext {
 public:
  /// Selects the device for the calling thread and creates everything. Throws Error(bug) with CUDA's own
  /// message.
  explicit CudaContext(int device);

  int device() const { return device_; }
  /// For forward, backward and the optimizer.
  cudaStream_t compute_stream() const { return compute_.get(); }
  /// For collectives; has the highest priority, so that a bucket never waits behind a convolution.
  cudaStream_t communication_stream() const { return communication_.get(); }
  cublasLtHandle_t cublas() const { return cublas_.get(); }
  /// Bound to compute_stream().
  cudnnHandle_t cudnn() const { return cudnn_.get(); }
  /// Made with cudnn().
  CudnnPlans& plans() { return plans_; }
  /// kScratchBytes (launch.h) for use on the compute stream.
  void* scratch() const { return scratch_.get(); }
  /// For kernels on the compute stream, which count their blocks with it (launch.h).
  unsigned* block_counter() const { return static_cast<unsigned*>(block_counter_.get()); }

  /// Work enqueued on `later` after this call starts once the work now on `earlier` has finished. Allowed
  /// during capture.
  void order(cudaStream_t earlier, cudaStream_t later);

 private:
  int device_;
  Stream compute_, communication_;
  CublasLtHandle cublas_;
  CudnnHandle cudnn_;
  CudnnPlans plans_;
  GpuEvent event_;
  DeviceMemory scratch_, block_counter_;
};

}  // namespace lockstep

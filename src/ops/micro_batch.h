#pragma once

#include <cstdint>

#include "src/core/host_device.h"

namespace lockstep {

/// What kernels need to know about a micro-batch besides its tensors. In the memory of the backend, so that a
/// captured step reads new values on each replay.
struct MicroBatchInfo {
  int64_t step = 0;   ///< optimizer steps taken before this one
  int32_t valid = 0;  ///< real samples; they come first, and the rows behind them are padding of weight zero
  float weight = 0;   ///< of each real sample in the loss: 1 / (real samples of the global batch)
  /// What gradients are multiplied by, so that fp16 can hold small ones; null: 1.
  const float* loss_scale = nullptr;

  LOCKSTEP_HOST_DEVICE float scale() const { return loss_scale == nullptr ? 1.0f : *loss_scale; }
};

}  // namespace lockstep

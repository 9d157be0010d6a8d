#pragma once

#include <cstdint>
#include <string>

#include "io/checkpoint/checkpoint.h"

namespace lockstep {

/// What was written.
struct ExportedWeights {
  std::string library;  ///< whose names the file has
  int64_t parameters = 0, tensors = 0;
};

/// Writes the fp32 weights and the running statistics of a checkpoint as safetensors, under the names and in
/// the order of a library, or of the model's first one if `library` is "". Throws Error(usage) for a library
/// that the model has no names of, Error(data) if the checkpoint is not one of its model or the file cannot
/// be written.
ExportedWeights export_weights(const LoadedCheckpoint& from, const std::string& path,
                               const std::string& library);

}  // namespace lockstep

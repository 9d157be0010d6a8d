#pragma once

#include <cstdint>
#include <string>

#include "launch/run/named_model.h"
#include "src/tensor/dtype.h"

namespace lockstep {

struct ImportWeightsOptions {
  ModelArguments model;      ///< `input` and `outputs` that are not given are those of the weights
  DType stored = DType::u8;  ///< type of the samples in data sets, if they are not token ids
};

/// The checkpoint that was written.
struct ImportedWeights {
  std::string library;  ///< whose names the file has
  int64_t parameters = 0, tensors = 0;
  ModelUse use;  ///< what the model is for
};

/// Makes a checkpoint of a model whose weights are in a file of safetensors. It has no optimizer state, so
/// that training can start from it (model.init_from) but not resume. Throws Error(data) if a tensor is
/// missing, has another shape, or is not of the model; the message has the first few of each.
ImportedWeights import_weights(const std::string& file, const std::string& checkpoint,
                               ImportWeightsOptions options);

}  // namespace lockstep

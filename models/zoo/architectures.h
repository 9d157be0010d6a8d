#pragma once

#include <vector>

#include "models/registry.h"

namespace lockstep::zoo {

// The files of this folder: NAME.cpp defines `std::vector<ModelEntry> NAME_models()`. This list is also the
// order of `lockstep model list`.
#define LOCKSTEP_ZOO(MODELS_OF) \
  MODELS_OF(mlp)                \
  MODELS_OF(cnn)                \
  MODELS_OF(alexnet)            \
  MODELS_OF(vgg)                \
  MODELS_OF(resnet)             \
  MODELS_OF(googlenet)          \
  MODELS_OF(inception_v3)       \
  MODELS_OF(mobilenet_v1)       \
  MODELS_OF(mobilenet_v2)       \
  MODELS_OF(densenet)           \
  MODELS_OF(unet)               \
  MODELS_OF(deepcam)            \
  MODELS_OF(cosmoflow)          \
  MODELS_OF(cnn1d)              \
  MODELS_OF(transformer)        \
  MODELS_OF(vit)                \
  MODELS_OF(gpt2)

#define LOCKSTEP_DECLARE_MODELS(file) std::vector<ModelEntry> file##_models();
LOCKSTEP_ZOO(LOCKSTEP_DECLARE_MODELS)
#undef LOCKSTEP_DECLARE_MODELS

inline auto files() {
#define LOCKSTEP_NAME_MODELS(file) file##_models,
  return std::vector<std::vector<ModelEntry> (*)()>{LOCKSTEP_ZOO(LOCKSTEP_NAME_MODELS)};
#undef LOCKSTEP_NAME_MODELS
}

}  // namespace lockstep::zoo

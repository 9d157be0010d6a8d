#pragma once

#include "src/graph/layers/description.h"

namespace lockstep {

struct LeakyReluOptions {
  double slope = 0.01;
};

struct EluOptions {
  double alpha = 1;
};

struct GeluOptions {
  bool approximate = false;
};

namespace layers {
extern const Description<NoOptions> relu, relu6, sigmoid, tanh, silu, hard_swish, softplus;
extern const Description<LeakyReluOptions> leaky_relu;
extern const Description<EluOptions> elu;
extern const Description<GeluOptions> gelu;
}  // namespace layers

/// The kinds of layers above, each of which can be made without options.
const std::vector<LayerKind>& activation_kinds();

}  // namespace lockstep

#pragma once

#include "src/graph/layers/description.h"

namespace lockstep {

/// The bias layer of another layer, whose parameter it has.
std::unique_ptr<Layer> make_bias(const ParameterSpec& parameter);

namespace layers {
/// A trained vector added along the last axis.
extern const Description<NoOptions> bias;
}  // namespace layers

}  // namespace lockstep

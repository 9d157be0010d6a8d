#include "src/graph/layers/layers.h"

namespace lockstep {

const std::vector<LayerKind>& layer_kinds() {
  static const std::vector<LayerKind> kinds = {
      layers::linear.by_name(),
      layers::conv2d.by_name(),
      layers::max_pool2d.by_name(),
      layers::average_pool2d.by_name(),
      layers::global_average_pool.by_name(),
      layers::embedding.by_name(),
      layers::bias.by_name(),
      layers::relu.by_name(),
      layers::sigmoid.by_name(),
      layers::tanh.by_name(),
      layers::gelu.by_name(),
      layers::batch_norm.by_name(),
      layers::dropout.by_name(),
      layers::add.by_name(),
      layers::flatten.by_name(),
  };
  return kinds;
}

}  // namespace lockstep

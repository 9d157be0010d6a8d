#include "src/graph/layers/layers.h"

namespace lockstep {

const std::vector<LayerKind>& layer_kinds() {
  static const std::vector<LayerKind> kinds = [] {
    std::vector<LayerKind> all = {
        layers::linear.by_name(),
        layers::conv1d.by_name(),
        layers::conv2d.by_name(),
        layers::conv3d.by_name(),
        layers::conv_transpose1d.by_name(),
        layers::conv_transpose2d.by_name(),
        layers::conv_transpose3d.by_name(),
        layers::max_pool1d.by_name(),
        layers::max_pool2d.by_name(),
        layers::max_pool3d.by_name(),
        layers::average_pool1d.by_name(),
        layers::average_pool2d.by_name(),
        layers::average_pool3d.by_name(),
        layers::adaptive_max_pool1d.by_name(),
        layers::adaptive_max_pool2d.by_name(),
        layers::adaptive_max_pool3d.by_name(),
        layers::adaptive_average_pool1d.by_name(),
        layers::adaptive_average_pool2d.by_name(),
        layers::adaptive_average_pool3d.by_name(),
        layers::global_average_pool.by_name(),
        layers::upsample.by_name(),
        layers::pad.by_name(),
        layers::embedding.by_name(),
        layers::positional_embedding.by_name(),
        layers::class_token.by_name(),
        layers::padding_mask.by_name(),
        layers::attention.by_name(),
        layers::multihead_attention.by_name(),
        layers::mean_positions.by_name(),
        layers::bias.by_name(),
        layers::batch_norm.by_name(),
        layers::layer_norm.by_name(),
        layers::rms_norm.by_name(),
        layers::group_norm.by_name(),
        layers::local_response_norm.by_name(),
        layers::dropout.by_name(),
        layers::add.by_name(),
        layers::multiply.by_name(),
        layers::scale.by_name(),
        layers::concat.by_name(),
        layers::slice.by_name(),
        layers::pad_channels.by_name(),
        layers::flatten.by_name(),
    };
    all.insert(all.end(), activation_kinds().begin(), activation_kinds().end());
    return all;
  }();
  return kinds;
}

}  // namespace lockstep

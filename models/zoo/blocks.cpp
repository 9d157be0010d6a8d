#include "models/zoo/blocks.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "src/core/error.h"

namespace lockstep::zoo {

ModelUse classes(std::initializer_list<int64_t> sample, int64_t count,
                 const std::map<std::string, ModelValue>& keys) {
  return {{DType::f32, Shape(sample)}, {count}, keys};
}

ModelUse imagenet(int64_t size) { return classes({size, size, 3}, 1000); }

void check_output_positions(const ModelRequest& request) {
  const auto sample = request.input.shape.extents();
  const Shape positions(std::vector<int64_t>(sample.begin(), sample.end() - 1));
  if (!request.output.accepts(NetworkOutput{request.output.width, positions}.shape()))
    fail(ExitCode::usage, "has an output at each of the positions {} of a sample, but the targets have {}.",
         to_string(positions),
         request.output.positions.rank() == 0 ? "one for the whole sample"
                                              : to_string(request.output.positions));
}

NewLayer conv(const Shape& input, const ConvOptions& options) {
  if (input.rank() == 2) return layers::conv1d(options);
  return input.rank() == 4 ? layers::conv3d(options) : layers::conv2d(options);
}

NewLayer conv_transpose(const Shape& input, const ConvOptions& options) {
  if (input.rank() == 2) return layers::conv_transpose1d(options);
  return input.rank() == 4 ? layers::conv_transpose3d(options) : layers::conv_transpose2d(options);
}

NewLayer max_pool(const Shape& input, const PoolOptions& options) {
  if (input.rank() == 2) return layers::max_pool1d(options);
  return input.rank() == 4 ? layers::max_pool3d(options) : layers::max_pool2d(options);
}

int add_conv_norm(Graph& graph, int input, const std::string& conv, const std::string& norm,
                  ConvOptions options, const BatchNormOptions& norm_options) {
  options.bias = false;
  options.init = Init::he_normal_out;
  graph.add(conv, zoo::conv(graph.shape(input), options), {input});
  return graph.add(norm, layers::batch_norm(norm_options));
}

int add_basic_conv(Graph& graph, int input, const std::string& name, const ConvOptions& options) {
  add_conv_norm(graph, input, name + ".conv", name + ".bn", options, {.epsilon = 1e-3});
  return graph.add(name + ".relu", layers::relu());
}

int64_t scaled(int64_t channels, double factor) {
  return std::max(int64_t{1}, static_cast<int64_t>(std::llround(static_cast<double>(channels) * factor)));
}

int64_t scaled_to_multiple(int64_t channels, double factor, int64_t divisor) {
  const double wanted = static_cast<double>(channels) * factor;
  const double half = static_cast<double>(divisor) / 2;
  const auto nearest = static_cast<int64_t>(wanted + half) / divisor * divisor;
  const int64_t result = std::max(divisor, nearest);
  return static_cast<double>(result) < 0.9 * wanted ? result + divisor : result;
}

}  // namespace lockstep::zoo

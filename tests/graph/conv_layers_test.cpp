#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "src/graph/graph.h"
#include "src/graph/layers/layers.h"
#include "src/graph/parameters.h"
#include "tests/graph/graph_runner.h"
#include "tests/support/backend.h"

namespace lockstep {
namespace {

class ConvLayersOnBackend : public test::BackendTest {};
INSTANTIATE_FOR_BACKENDS(ConvLayersOnBackend);

Shape output_of(const Shape& input, const NewLayer& layer) {
  Graph graph(input);
  graph.add("layer", layer);
  return graph.shape(1);
}

// TensorFlow's formula: ceil(input / stride).
TEST(ConvLayers, PaddingSameGivesAnOutputPerStride) {
  for (const int64_t stride : {1, 2, 3})
    for (const int64_t kernel : {1, 2, 3, 4})
      for (const int64_t length : {5, 6, 7}) {
        const ConvOptions options{
            .filters = 1, .kernel = kernel, .stride = stride, .padding = Padding::same()};
        EXPECT_EQ(output_of({length, 1}, layers::conv1d(options)),
                  (Shape{(length + stride - 1) / stride, 1}));
        EXPECT_EQ(output_of({length, 1}, layers::conv_transpose1d(options)), (Shape{length * stride, 1}));
      }
  EXPECT_EQ(output_of({5, 6, 7, 2}, layers::conv3d({.filters = 4,
                                                    .kernel = {3, 5, 1},
                                                    .stride = {1, 2, 2},
                                                    .padding = Padding::same(),
                                                    .dilation = {2, 1, 1}})),
            (Shape{5, 3, 4, 4}));
}

// TensorFlow's formula: 1 zero in all, of which 1 / 2 are in front. One in front would give 3 and 9.
TEST_P(ConvLayersOnBackend, PaddingSameAddsTheOddZeroAtTheEnd) {
  Graph graph({4, 1});
  graph.add("conv", layers::conv1d({.filters = 1,
                                    .kernel = 3,
                                    .stride = 2,
                                    .padding = Padding::same(),
                                    .bias = false,
                                    .init = Init::ones}));
  GraphRunner run(graph, 1, exec());
  EXPECT_EQ(run.forward({1, 2, 3, 4}), (std::vector<float>{6, 7}));
}

// torch.nn.ConvTranspose2d's formula, and its example: 16 channels, 3x5 kernel, stride (2, 1), padding (4, 2)
// on 50x100 gives 93x100.
TEST(ConvLayers, TransposedConvolutionsHaveThePyTorchShapes) {
  const ConvOptions example{.filters = 33, .kernel = {3, 5}, .stride = {2, 1}, .padding = {4, 2}};
  EXPECT_EQ(output_of({50, 100, 16}, layers::conv_transpose2d(example)), (Shape{93, 100, 33}));
  EXPECT_EQ(output_of({6, 6, 16},
                      layers::conv_transpose2d(
                          {.filters = 16, .kernel = 3, .stride = 2, .padding = 1, .output_padding = 1})),
            (Shape{12, 12, 16}));
  EXPECT_EQ(output_of({4, 5, 6, 8}, layers::conv_transpose3d({.filters = 3, .kernel = 2, .stride = 2})),
            (Shape{8, 10, 12, 3}));
  Graph graph({6, 8});
  graph.add("up", layers::conv_transpose1d({.filters = 6, .kernel = 4, .stride = 2, .groups = 2}));
  const ParameterSpec weight = graph.nodes()[0].layer->parameters()[0];
  EXPECT_EQ(weight.shape, (Shape{8, 4, 3}));
  EXPECT_EQ(weight.fan_in, 3 * 4);
  EXPECT_EQ(weight.fan_out, 8 * 4);
  EXPECT_EQ(graph.nodes()[0].layer->flops(), 2 * 6 * 8 * 4 * 3);
}

TEST(ConvLayers, WeightsHaveThePyTorchShapesInFiles) {
  const auto in_files = [](const Shape& input, const NewLayer& layer) {
    Graph graph(input);
    graph.add("layer", layer);
    return logical_shape(ParameterLayout(graph).parameters[0]);
  };
  EXPECT_EQ(in_files({9, 4}, layers::conv1d({.filters = 6, .kernel = 5, .groups = 2})), (Shape{6, 2, 5}));
  EXPECT_EQ(in_files({9, 9, 9, 4}, layers::conv3d({.filters = 6, .kernel = {1, 2, 3}})),
            (Shape{6, 4, 1, 2, 3}));
  EXPECT_EQ(in_files({9, 4}, layers::conv_transpose1d({.filters = 6, .kernel = 5, .groups = 2})),
            (Shape{4, 3, 5}));
  EXPECT_EQ(in_files({9, 9, 4}, layers::conv_transpose2d({.filters = 6, .kernel = {2, 3}})),
            (Shape{4, 6, 2, 3}));
}

TEST(ConvLayers, SayInWordsWhatTheyAre) {
  Graph volume({9, 9, 9, 2});
  volume.add("conv", layers::conv3d({.filters = 8, .kernel = {3, 1, 1}, .padding = Padding::same()}));
  volume.add("up",
             layers::conv_transpose3d({.filters = 4, .kernel = 2, .stride = {2, 3, 2}, .output_padding = 1}));
  EXPECT_EQ(volume.nodes()[0].layer->describe(), "8 filters 3x1x1, stride 1, padding same");
  EXPECT_EQ(volume.nodes()[1].layer->describe(), "4 filters 2x2x2, stride 2x3x2, output padding 1");
}

}  // namespace
}  // namespace lockstep

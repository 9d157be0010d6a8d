#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "src/core/error.h"
#include "src/graph/graph.h"
#include "src/graph/layers/layers.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

std::string error_of(const Shape& input, const NewLayer& layer, int inputs = 1) {
  Graph graph(input);
  try {
    graph.add("it", layer, std::vector<int>(static_cast<size_t>(inputs), 0));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    return error.what();
  }
  return "no error";
}

TEST(Layers, SayWhatDoesNotFit) {
  EXPECT_EQ(error_of({3, 3, 1}, layers::conv2d({.filters = 2, .kernel = {5, 5}})),
            "layer 'it' (conv2d): kernel 5x5 is larger than the 3x3 input.");
  EXPECT_THAT(error_of({3, 3, 1}, layers::conv2d({.filters = 2, .dilation = {3, 3}})),
              HasSubstr("dilated kernel 7x7 is larger than the 3x3 input."));
  EXPECT_THAT(error_of({3, 3, 1}, layers::conv2d({.filters = 2, .kernel = {9, 3}, .padding = {1, 0}})),
              HasSubstr("kernel 9x3 is larger than the 3x3 input with its padding 1x0."));
  EXPECT_THAT(error_of({784}, layers::conv2d({.filters = 2})),
              HasSubstr("works on images (height, width, channels), but its input is (784)."));
  EXPECT_THAT(error_of({9, 9, 3}, layers::conv2d({.filters = 4, .groups = 2})),
              HasSubstr("3 input channels and 4 filters do not both divide into 2 groups."));
  EXPECT_THAT(error_of({9, 9, 3}, layers::conv2d({})),
              HasSubstr("filters is 0, but it must be from 1 to 1048576."));
  EXPECT_THAT(error_of({9, 9, 3}, layers::conv2d({.filters = 1, .stride = {1, 0}})),
              HasSubstr("stride is 0"));
  EXPECT_THAT(error_of({9, 9, 3}, layers::conv2d({.filters = 1, .padding = {0, -1}})),
              HasSubstr("padding is -1"));
  EXPECT_THAT(error_of({9, 9, 3}, layers::conv2d({.filters = 1, .kernel = {INT64_MAX, 3}})),
              HasSubstr("kernel is 9223"));
  EXPECT_THAT(error_of({9, 9, 3}, layers::conv2d({.filters = 1, .output_padding = 1})),
              HasSubstr("output_padding is an option of transposed convolutions only."));
  EXPECT_THAT(error_of({9, 3, 3}, layers::conv1d({.filters = 1})),
              HasSubstr("works on sequences (length, channels), but its input is (9, 3, 3)."));
  EXPECT_THAT(error_of({4, 1}, layers::conv1d({.filters = 1, .kernel = 7, .padding = 1})),
              HasSubstr("kernel 7 is larger than the 4-element input with its padding 1."));
  EXPECT_THAT(error_of({9, 3, 3}, layers::conv3d({.filters = 1})),
              HasSubstr("works on volumes (depth, height, width, channels), but its input is (9, 3, 3)."));
  EXPECT_THAT(error_of({9, 9, 9, 1}, layers::conv3d({.filters = 1, .kernel = {2, 2}})),
              HasSubstr("kernel has 2 numbers, but the input has 3 spatial axes."));
  EXPECT_THAT(
      error_of({9, 9, 9, 1}, layers::conv3d({.filters = 1, .kernel = 1 << 20, .padding = Padding::same()})),
      HasSubstr("kernel 1048576x1048576x1048576 has more than 1048576 elements."));
  EXPECT_THAT(error_of({1, 2, 1}, layers::conv_transpose2d({.filters = 1, .padding = {2, 0}})),
              HasSubstr("padding 2x0 leaves nothing of the output."));
  EXPECT_THAT(error_of({3, 3, 1}, layers::conv_transpose2d({.filters = 1, .output_padding = 1})),
              HasSubstr("output_padding 1 must be smaller than the stride 1."));
  EXPECT_THAT(
      error_of({3, 1}, layers::conv_transpose1d(
                           {.filters = 1, .stride = 2, .padding = Padding::same(), .output_padding = 1})),
      HasSubstr("output_padding has no place beside padding = \"same\", which gives 6 outputs."));
  EXPECT_THAT(error_of({}, layers::linear({.outputs = 10})),
              HasSubstr("takes a vector, but its input is a single number."));
  EXPECT_THAT(error_of({1 << 30}, layers::linear({.outputs = 1 << 20})),
              HasSubstr("its parameter (1048576, 1073741824)"));
  EXPECT_THAT(error_of({4}, layers::linear({.outputs = -1})), HasSubstr("outputs is -1"));
  EXPECT_THAT(error_of({4, 4, 1}, layers::max_pool2d({.window = {5, 2}})),
              HasSubstr("window 5x2 is larger than the 4x4"));
  EXPECT_THAT(error_of({4, 4, 1}, layers::max_pool2d({.padding = {2, 0}})),
              HasSubstr("padding 2x0 must be smaller than the wind"));
  EXPECT_THAT(error_of({40, 40, 1}, layers::max_pool2d({.window = {17, 17}})),
              HasSubstr("more than 256 elements"));
  EXPECT_THAT(error_of({40, 40, 1}, layers::adaptive_max_pool2d({.output = {2, 2}})),
              HasSubstr("window 20x20 has more than 256 elements"));
  EXPECT_THAT(error_of({4, 1}, layers::max_pool1d({.window = 6, .padding = 0})),
              HasSubstr("window 6 is larger than the 4-element input."));
  EXPECT_THAT(error_of({4, 4, 4, 1}, layers::average_pool3d({.window = {2, 7, 2}, .padding = {0, 1, 0}})),
              HasSubstr("window 2x7x2 is larger than the 4x4x4 input with its padding 0x1x0."));
  EXPECT_THAT(error_of({1, 4, 1}, layers::max_pool2d({.window = 3, .stride = 2, .ceil = true})),
              HasSubstr("window 3x3 is larger than the 1x4 input."));
  EXPECT_THAT(error_of({4, 4, 1}, layers::max_pool1d()),
              HasSubstr("works on sequences (length, channels), but its input is (4, 4, 1)."));
  EXPECT_THAT(error_of({4, 4, 1}, layers::average_pool3d()),
              HasSubstr("works on volumes (depth, height, width, channels), but its input is (4, 4, 1)."));
  EXPECT_THAT(error_of({4, 1}, layers::max_pool1d({.window = {2, 2}})),
              HasSubstr("window has 2 numbers, but the input has 1 spatial axes."));
  EXPECT_THAT(error_of({4, 4, 1}, layers::adaptive_average_pool2d({.output = {1, 2, 3}})),
              HasSubstr("output has 3 numbers, but the input has 2 spatial axes."));
  EXPECT_THAT(error_of({4}, layers::pad({.before = 1})),
              HasSubstr("works on one to three spatial axes and channels, but its input is (4)."));
  EXPECT_THAT(error_of({4, 1}, layers::pad({.after = -1})), HasSubstr("after is -1"));
  EXPECT_THAT(error_of({4}, layers::local_response_norm({})), HasSubstr("size is 0"));
  EXPECT_THAT(error_of({4}, layers::local_response_norm({.size = 2, .k = 0})), HasSubstr("k is 0"));
  EXPECT_THAT(error_of({4}, layers::global_average_pool()), HasSubstr("but its input is (4)"));
  EXPECT_THAT(error_of({4}, layers::dropout({.rate = 1.0})),
              HasSubstr("rate is 1, but it must be in [0, 1)"));
  EXPECT_THAT(error_of({4}, layers::batch_norm({.epsilon = 0})), HasSubstr("epsilon is 0"));
  EXPECT_THAT(error_of({4}, layers::batch_norm({.momentum = 2})), HasSubstr("momentum is 2"));
  EXPECT_THAT(error_of({4}, layers::add()), HasSubstr("takes two inputs, not 1."));
  EXPECT_THAT(error_of({4}, layers::flatten(), 2), HasSubstr("takes one input, not 2."));
  EXPECT_EQ(error_of({4, 2}, layers::flatten({.first = 1, .last = 2})),
            "layer 'it' (flatten): cannot make one axis of the axes 1 to 2: its input is (4, 2).");
}

TEST(Layers, SayWhatDoesNotFitASequence) {
  EXPECT_EQ(error_of({4}, layers::attention({.heads = 1})),
            "layer 'it' (attention): works on sequences (positions, channels), but its input is (4).");
  EXPECT_THAT(error_of({5, 12}, layers::attention({.heads = 3})),
              HasSubstr("12 channels cannot be divided into queries, keys and values of 3 heads."));
  EXPECT_THAT(error_of({5, 12}, layers::multihead_attention({.heads = 5})),
              HasSubstr("12 channels cannot be divided into 5 heads."));
  EXPECT_THAT(error_of({5, 257}, layers::multihead_attention({.heads = 1})),
              HasSubstr("its heads are 257 wide, but 256 is the largest width: use more heads."));
  EXPECT_THAT(error_of({5, 12}, layers::attention({.heads = 2, .dropout = 1})),
              HasSubstr("dropout is 1, but it must be in [0, 1)"));
  EXPECT_THAT(error_of({5, 12}, layers::attention({.heads = 2}), 2),
              HasSubstr("its mask (5, 12) does not have one number for each of 5 positions."));
  EXPECT_THAT(error_of({5, 12}, layers::attention({.heads = 2}), 3),
              HasSubstr("takes one input, or one and a mask, not 3."));
  EXPECT_THAT(error_of({5, 12}, layers::mean_positions(), 2), HasSubstr("its mask (5, 12) does not have"));
  EXPECT_THAT(error_of({5, 12}, layers::positional_embedding({.positions = 4})),
              HasSubstr("its input has 5 positions, but it has vectors for 4."));
  EXPECT_THAT(error_of({5}, layers::class_token()), HasSubstr("works on sequences"));
  EXPECT_THAT(error_of({5}, layers::padding_mask()), HasSubstr("takes token ids (int32), but its input is"));
}

TEST(Graph, RefusesATakenNameAndShapesThatDiffer) {
  Graph graph({4});
  graph.add("a", layers::linear({.outputs = 3}));
  EXPECT_THROW(
      {
        try {
          graph.add("a", layers::flatten());
        } catch (const Error& error) {
          EXPECT_STREQ(error.what(), "two layers are named 'a': give one of them another name.");
          throw;
        }
      },
      Error);
  EXPECT_THROW(graph.add("a/b", layers::flatten()), Error);
  try {
    graph.add("sum", layers::add(), {0, 1});
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "layer 'sum' (add): its inputs differ in shape: (4) and (3).");
  }
  EXPECT_EQ(graph.output(), 1);  // what failed left no trace
}

}  // namespace
}  // namespace lockstep

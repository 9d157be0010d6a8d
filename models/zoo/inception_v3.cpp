#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "models/zoo/architectures.h"
#include "models/zoo/blocks.h"
#include "src/core/error.h"

namespace lockstep {

namespace {

using Integers = std::vector<int64_t>;

/// The network of torchvision, whose modules are called A to E in figures 5 to 7 of the paper.
class InceptionV3 {
 public:
  explicit InceptionV3(const ModelRequest& request)
      : request_(request),
        width_(request.number_in("width", kPositive)),
        aux_weight_(request.number_in("aux_weight", kNotNegative)),
        graph_(request.input, request.seed) {}

  Graph build() {
    const Integers& modules = request_.list("modules", 3, 3);
    check_at_most(modules, {3, 4, 2});
    int value = add_stem();
    constexpr int64_t kPoolFilters[] = {32, 64, 64}, kFilters7[] = {128, 160, 160, 192};
    for (int i = 0; i < modules[0]; ++i) value = add_a(value, module_name('5', 'b', i), kPoolFilters[i]);
    value = add_b(value, "Mixed_6a");
    for (int i = 0; i < modules[1]; ++i) value = add_c(value, module_name('6', 'b', i), kFilters7[i]);
    if (aux_weight_ > 0) add_head(value);
    value = add_d(value, "Mixed_7a");
    for (int i = 0; i < modules[2]; ++i) value = add_e(value, module_name('7', 'b', i));
    graph_.add("avgpool", layers::global_average_pool(), {value});
    graph_.add("dropout", layers::dropout({.rate = request_.number("dropout")}));
    graph_.add("fc", layers::linear({.outputs = request_.output.elements(), .init = Init::kaiming_torch}));
    return std::move(graph_);
  }

 private:
  static std::string module_name(char stage, char first, int number) {
    return fmt::format("Mixed_{}{}", stage, static_cast<char>(first + number));
  }

  static void check_at_most(const Integers& modules, const Integers& most) {
    for (size_t i = 0; i < most.size(); ++i)
      if (modules[i] > most[i])
        fail(ExitCode::usage, "model.modules may be at most [3, 4, 2], but its number {} is {}.", i + 1,
             modules[i]);
  }

  int conv(int input, const std::string& name, int64_t filters, const Extents& kernel,
           const Extents& padding = 0, int64_t stride = 1) {
    return zoo::add_basic_conv(
        graph_, input, name,
        {.filters = zoo::scaled(filters, width_), .kernel = kernel, .stride = stride, .padding = padding});
  }

  int concat(const std::string& name, std::vector<int> values) {
    return graph_.add(name + ".concat", layers::concat(), std::move(values));
  }

  int add_stem() {
    int value = conv(0, "Conv2d_1a_3x3", 32, 3, 0, 2);
    value = conv(value, "Conv2d_2a_3x3", 32, 3);
    conv(value, "Conv2d_2b_3x3", 64, 3, 1);
    value = graph_.add("maxpool1", layers::max_pool2d({.window = 3, .stride = 2}));
    value = conv(value, "Conv2d_3b_1x1", 80, 1);
    conv(value, "Conv2d_4a_3x3", 192, 3);
    return graph_.add("maxpool2", layers::max_pool2d({.window = 3, .stride = 2}));
  }

  /// Average pooling that keeps the size, then a 1x1 convolution.
  int add_pool_branch(int input, const std::string& name, int64_t filters) {
    const int pooled = graph_.add(
        name + ".avgpool",
        layers::average_pool2d({.window = 3, .stride = 1, .padding = 1, .count_padding = true}), {input});
    return conv(pooled, name + ".branch_pool", filters, 1);
  }

  int add_a(int input, const std::string& name, int64_t pool_filters) {
    const int one = conv(input, name + ".branch1x1", 64, 1);
    int five = conv(input, name + ".branch5x5_1", 48, 1);
    five = conv(five, name + ".branch5x5_2", 64, 5, 2);
    int three = conv(input, name + ".branch3x3dbl_1", 64, 1);
    three = conv(three, name + ".branch3x3dbl_2", 96, 3, 1);
    three = conv(three, name + ".branch3x3dbl_3", 96, 3, 1);
    return concat(name, {one, five, three, add_pool_branch(input, name, pool_filters)});
  }

  int add_b(int input, const std::string& name) {
    const int three = conv(input, name + ".branch3x3", 384, 3, 0, 2);
    int twice = conv(input, name + ".branch3x3dbl_1", 64, 1);
    twice = conv(twice, name + ".branch3x3dbl_2", 96, 3, 1);
    twice = conv(twice, name + ".branch3x3dbl_3", 96, 3, 0, 2);
    return concat(name, {three, twice, max_pool(input, name)});
  }

  int add_c(int input, const std::string& name, int64_t filters) {
    const Extents row = {1, 7}, column = {7, 1}, row_padding = {0, 3}, column_padding = {3, 0};
    const int one = conv(input, name + ".branch1x1", 192, 1);
    int seven = conv(input, name + ".branch7x7_1", filters, 1);
    seven = conv(seven, name + ".branch7x7_2", filters, row, row_padding);
    seven = conv(seven, name + ".branch7x7_3", 192, column, column_padding);
    int twice = conv(input, name + ".branch7x7dbl_1", filters, 1);
    twice = conv(twice, name + ".branch7x7dbl_2", filters, column, column_padding);
    twice = conv(twice, name + ".branch7x7dbl_3", filters, row, row_padding);
    twice = conv(twice, name + ".branch7x7dbl_4", filters, column, column_padding);
    twice = conv(twice, name + ".branch7x7dbl_5", 192, row, row_padding);
    return concat(name, {one, seven, twice, add_pool_branch(input, name, 192)});
  }

  int add_d(int input, const std::string& name) {
    int three = conv(input, name + ".branch3x3_1", 192, 1);
    three = conv(three, name + ".branch3x3_2", 320, 3, 0, 2);
    int seven = conv(input, name + ".branch7x7x3_1", 192, 1);
    seven = conv(seven, name + ".branch7x7x3_2", 192, {1, 7}, {0, 3});
    seven = conv(seven, name + ".branch7x7x3_3", 192, {7, 1}, {3, 0});
    seven = conv(seven, name + ".branch7x7x3_4", 192, 3, 0, 2);
    return concat(name, {three, seven, max_pool(input, name)});
  }

  int add_e(int input, const std::string& name) {
    const int one = conv(input, name + ".branch1x1", 320, 1);
    int three = conv(input, name + ".branch3x3_1", 384, 1);
    three = add_fork(three, name + ".branch3x3_2");
    int twice = conv(input, name + ".branch3x3dbl_1", 448, 1);
    twice = conv(twice, name + ".branch3x3dbl_2", 384, 3, 1);
    twice = add_fork(twice, name + ".branch3x3dbl_3");
    return concat(name, {one, three, twice, add_pool_branch(input, name, 192)});
  }

  /// A row and a column of three, side by side.
  int add_fork(int input, const std::string& name) {
    const int row = conv(input, name + "a", 384, {1, 3}, {0, 1});
    const int column = conv(input, name + "b", 384, {3, 1}, {1, 0});
    return concat(name, {row, column});
  }

  int max_pool(int input, const std::string& name) {
    return graph_.add(name + ".maxpool", layers::max_pool2d({.window = 3, .stride = 2}), {input});
  }

  /// The auxiliary classifier (section 4 of the paper), only in training. For images below 299 x 299, its
  /// windows are as large as what they are applied to.
  void add_head(int input) {
    const auto at_most = [&](int64_t window, int value) {
      const Shape& shape = graph_.shape(value);
      return Extents{std::min(window, shape[0]), std::min(window, shape[1])};
    };
    const int pooled = graph_.add(
        "AuxLogits.avgpool", layers::average_pool2d({.window = at_most(5, input), .stride = 3}), {input});
    const int reduced = conv(pooled, "AuxLogits.conv0", 128, 1);
    conv(reduced, "AuxLogits.conv1", 768, at_most(5, reduced));
    graph_.add("AuxLogits.pool", layers::global_average_pool());
    graph_.add(
        "AuxLogits.fc",
        layers::linear({.outputs = request_.output.elements(), .init = Init::normal, .deviation = 0.01}));
    graph_.set_loss_weight("AuxLogits.fc", aux_weight_);
  }

  const ModelRequest& request_;
  double width_, aux_weight_;
  Graph graph_;
};

Graph build_inception_v3(const ModelRequest& request) { return InceptionV3(request).build(); }

}  // namespace

std::vector<ModelEntry> zoo::inception_v3_models() {
  return {{.name = "inception_v3",
           .description = "Inception v3: large convolutions as pairs of narrow ones, with batch norm and an "
                          "auxiliary head",
           .paper = "Szegedy et al. 2016, arXiv:1512.00567",
           .keys = {{"width", "factor on all filters", 1.0},
                    {"modules", "modules of the first, second and third size, at most 3, 4 and 2",
                     Integers{3, 4, 2}},
                    {"aux_weight", "weight of the loss of the auxiliary head; 0: no head", 0.4},
                    {"dropout", "probability of zero before the last layer", 0.5}},
           .build = build_inception_v3,
           .standard = zoo::imagenet(299),
           .small = zoo::classes({79, 80, 3}, 4, {{"width", 0.016}, {"modules", Integers{1, 1, 1}}})}};
}

}  // namespace lockstep

#include <fmt/format.h>

#include <utility>

#include "models/zoo/architectures.h"
#include "models/zoo/blocks.h"
#include "src/core/error.h"

namespace lockstep {

namespace {

/// A row of table 1 of the paper: filters of the 1x1 branch, of the 3x3 branch with its reduction, of the 5x5
/// branch with its reduction, and of the pooling branch.
struct Module {
  const char* name;
  int64_t one, reduce3, three, reduce5, five, pool;
};
constexpr Module kStage3[] = {{"3a", 64, 96, 128, 16, 32, 32}, {"3b", 128, 128, 192, 32, 96, 64}};
constexpr Module kStage4[] = {{"4a", 192, 96, 208, 16, 48, 64},
                              {"4b", 160, 112, 224, 24, 64, 64},
                              {"4c", 128, 128, 256, 24, 64, 64},
                              {"4d", 112, 144, 288, 32, 64, 64},
                              {"4e", 256, 160, 320, 32, 128, 128}};
constexpr Module kStage5[] = {{"5a", 256, 160, 320, 32, 128, 128}, {"5b", 384, 192, 384, 48, 128, 128}};

class GoogLeNet {
 public:
  explicit GoogLeNet(const ModelRequest& request)
      : request_(request),
        width_(request.number_in("width", kPositive)),
        aux_weight_(request.number_in("aux_weight", kNotNegative)),
        graph_(request.input, request.seed) {}

  Graph build() {
    int value = conv(0, "conv1", 64, 7, 2);
    value = pool("maxpool1", 3);
    value = conv(value, "conv2", 64, 1);
    value = conv(value, "conv3", 192, 3);
    value = pool("maxpool2", 3);
    for (const Module& module : kStage3) value = add_module(value, module);
    value = pool("maxpool3", 3);
    for (const Module& module : kStage4) {
      value = add_module(value, module);
      if (aux_weight_ > 0 && module.name == std::string("4a")) add_head(value, "aux1");
      if (aux_weight_ > 0 && module.name == std::string("4d")) add_head(value, "aux2");
    }
    graph_.add("maxpool4", layers::max_pool2d({.window = 2, .stride = 2, .ceil = true}), {value});
    value = graph_.output();
    for (const Module& module : kStage5) value = add_module(value, module);
    graph_.add("avgpool", layers::global_average_pool());
    graph_.add("dropout", layers::dropout({.rate = request_.number("dropout")}));
    graph_.add("fc", layers::linear(
                         {.outputs = request_.output.elements(), .init = Init::normal, .deviation = 0.01}));
    return std::move(graph_);
  }

 private:
  int conv(int input, const std::string& name, int64_t filters, int64_t kernel, int64_t stride = 1) {
    return zoo::add_basic_conv(
        graph_, input, name,
        {.filters = zoo::scaled(filters, width_), .kernel = kernel, .stride = stride, .padding = kernel / 2});
  }

  int pool(const std::string& name, int64_t window) {
    return graph_.add(name, layers::max_pool2d({.window = window, .stride = 2, .ceil = true}));
  }

  int add_module(int input, const Module& m) {
    const std::string name = std::string("inception") + m.name;
    const int one = conv(input, name + ".branch1", m.one, 1);
    int three = conv(input, name + ".branch2.0", m.reduce3, 1);
    three = conv(three, name + ".branch2.1", m.three, 3);
    int five = conv(input, name + ".branch3.0", m.reduce5, 1);
    five = conv(five, name + ".branch3.1", m.five, request_.integer("branch3_kernel"));
    int pooled = graph_.add(name + ".branch4.0", layers::max_pool2d({.window = 3, .stride = 1, .padding = 1}),
                            {input});
    pooled = conv(pooled, name + ".branch4.1", m.pool, 1);
    return graph_.add(name + ".concat", layers::concat(), {one, three, five, pooled});
  }

  /// An auxiliary classifier (section 5 of the paper), only in training.
  void add_head(int input, const std::string& name) {
    const int pooled = graph_.add(name + ".avgpool", layers::adaptive_average_pool2d({.output = 4}), {input});
    conv(pooled, name + ".conv", 128, 1);
    graph_.add(name + ".flatten", layers::flatten());
    graph_.add(
        name + ".fc1",
        layers::linear({.outputs = zoo::scaled(1024, width_), .init = Init::normal, .deviation = 0.01}));
    graph_.add(name + ".relu", layers::relu());
    graph_.add(name + ".dropout", layers::dropout({.rate = request_.number("aux_dropout")}));
    graph_.add(
        name + ".fc2",
        layers::linear({.outputs = request_.output.elements(), .init = Init::normal, .deviation = 0.01}));
    graph_.set_loss_weight(name + ".fc2", aux_weight_);
  }

  const ModelRequest& request_;
  double width_, aux_weight_;
  Graph graph_;
};

Graph build_googlenet(const ModelRequest& request) {
  const int64_t kernel = request.integer("branch3_kernel");
  if (kernel < 1 || kernel % 2 == 0)
    fail(ExitCode::usage, "model.branch3_kernel = {} must be an odd number, such as 3 or 5.", kernel);
  return GoogLeNet(request).build();
}

}  // namespace

std::vector<ModelEntry> zoo::googlenet_models() {
  return {{.name = "googlenet",
           .description = "Inception v1: parallel 1x1, 3x3 and larger convolutions, with batch norm and two "
                          "auxiliary heads",
           .paper = "Szegedy et al. 2015, arXiv:1409.4842",
           .keys = {{"width", "factor on all filters", 1.0},
                    {"branch3_kernel",
                     "kernel of each module's third branch: 5 in the paper, 3 in torchvision", int64_t{3}},
                    {"aux_weight", "weight of the loss of each auxiliary head; 0: no heads", 0.3},
                    {"aux_dropout", "probability of zero in the auxiliary heads", 0.7},
                    {"dropout", "probability of zero before the last layer", 0.2}},
           .build = build_googlenet,
           .standard = zoo::imagenet(),
           .small = zoo::classes({36, 35, 3}, 4, {{"width", 0.03}})}};
}

}  // namespace lockstep

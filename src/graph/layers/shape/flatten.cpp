#include "src/graph/layers/shape/flatten.h"

#include <vector>

#include "src/graph/layers/shapes.h"

namespace lockstep {

namespace {

/// Usually another view of the same memory; copies if the plan has given it separate memory.
class FlattenLayer final : public Layer {
 public:
  explicit FlattenLayer(const FlattenOptions& options) : options_(options) {}

  std::string kind() const override { return "flatten"; }
  std::string describe() const override {
    if (options_.first == 0 && options_.last == -1) return "to a vector";
    if (options_.last == -1) return fmt::format("from axis {}", options_.first);
    return fmt::format("axes {} to {}", options_.first, options_.last);
  }
  std::unique_ptr<Layer> clone() const override { return std::make_unique<FlattenLayer>(*this); }

  Value infer(std::span<const Value> inputs) override {
    const Value& input = only_input(inputs);
    if (input.shape.rank() == 0) return {input.dtype, {1}};
    const int64_t first = options_.first, last = options_.last < 0 ? input.shape.rank() - 1 : options_.last;
    if (first > last || last >= input.shape.rank())
      fail(ExitCode::usage, "cannot make one axis of the axes {} to {}: its input is {}.", first, last,
           to_string(input.shape));
    std::vector<int64_t> extents;
    for (int axis = 0; axis < input.shape.rank(); ++axis)
      if (axis > first && axis <= last)
        extents.back() *= input.shape[axis];
      else
        extents.push_back(input.shape[axis]);
    return {input.dtype, Shape(extents)};
  }

  LayerTraits traits() const override {
    return {.forward_in_place = true, .backward_in_place = true, .reshape = true};
  }

  void prepare(const Preparation& preparation) override { exec_ = preparation.exec; }

  void forward(const LayerContext& context) override {
    copy_unless_shared(exec_, context.inputs[0], context.output);
  }

  void backward(const LayerContext& context) override {
    if (context.input_gradients[0])
      copy_unless_shared(exec_, context.output_gradient, context.input_gradients[0]);
  }

 private:
  FlattenOptions options_;
  Exec exec_;
};

constexpr Range kAxis{.min = 0, .max = Shape::kMaxRank}, kAxisOrLast{.min = -1, .max = Shape::kMaxRank};

}  // namespace

namespace layers {
const Description<FlattenOptions> flatten = {
    "flatten",
    "an image as a vector: by row, column, channel, the channel fastest",
    {{"first", &FlattenOptions::first, "the first of the axes that become one", kAxis},
     {"last", &FlattenOptions::last, "the last of them; -1: the last axis", kAxisOrLast}},
    make_layer<FlattenLayer>};
}  // namespace layers

}  // namespace lockstep

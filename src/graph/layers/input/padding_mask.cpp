#include "src/graph/layers/input/padding_mask.h"

#include "src/graph/layers/shapes.h"
#include "src/ops/input/padding_mask.h"

namespace lockstep {

namespace {

class PaddingMaskLayer final : public Layer {
 public:
  explicit PaddingMaskLayer(const PaddingMaskOptions& options) : options_(options) {}

  std::string kind() const override { return "padding_mask"; }
  std::string describe() const override { return fmt::format("of id {}", options_.padding); }
  std::unique_ptr<Layer> clone() const override { return std::make_unique<PaddingMaskLayer>(*this); }

  Value infer(std::span<const Value> inputs) override {
    if (inputs.size() != 1) fail(ExitCode::usage, "takes one input, not {}.", inputs.size());
    if (inputs[0].dtype != DType::i32)
      fail(ExitCode::usage, "takes token ids (int32), but its input is {}.", to_string(inputs[0].dtype));
    return {DType::f32, inputs[0].shape};
  }

  LayerTraits traits() const override { return {}; }
  void prepare(const Preparation& preparation) override { exec_ = preparation.exec; }

  void forward(const LayerContext& context) override {
    padding_mask(exec_, static_cast<int32_t>(options_.padding), context.inputs[0], context.output);
  }
  void backward(const LayerContext&) override {}  // ids have no gradient

 private:
  PaddingMaskOptions options_;
  Exec exec_;
};

}  // namespace

namespace layers {
const Description<PaddingMaskOptions> padding_mask = {"padding_mask",
                                                      "0 where a token id stands for padding, else 1",
                                                      {{"padding",
                                                        &PaddingMaskOptions::padding,
                                                        "the id that stands for padding",
                                                        {.min = -0x1p31, .max = 0x1p31, .max_open = true}}},
                                                      make_layer<PaddingMaskLayer>};
}  // namespace layers

}  // namespace lockstep

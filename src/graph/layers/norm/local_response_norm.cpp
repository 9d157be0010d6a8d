#include "src/graph/layers/norm/local_response_norm.h"

#include <memory>
#include <string>
#include <vector>

#include "src/graph/layers/shapes.h"
#include "src/ops/norm/local_response_norm.h"

namespace lockstep {

namespace {

class LocalResponseNormLayer final : public Layer {
 public:
  explicit LocalResponseNormLayer(const LocalResponseNormOptions& options)
      : spec_{options.size, static_cast<float>(options.alpha), static_cast<float>(options.beta),
              static_cast<float>(options.k)} {}

  std::string kind() const override { return "local_response_norm"; }
  std::string describe() const override {
    return fmt::format("of {} channels, alpha {:g}, beta {:g}, k {:g}", spec_.size, spec_.alpha, spec_.beta,
                       spec_.k);
  }
  std::unique_ptr<Layer> clone() const override { return std::make_unique<LocalResponseNormLayer>(*this); }
  LayerTraits traits() const override { return {.backward_reads_input = true}; }

  Value infer(std::span<const Value> inputs) override {
    const Value& input = only_input(inputs);
    if (input.shape.rank() == 0) fail(ExitCode::usage, "its input is a scalar, which has no channels.");
    sample_ = input.shape;
    return input;
  }

  void prepare(const Preparation& preparation) override {
    exec_ = preparation.exec;
    const int64_t channels = sample_[-1];
    matrix_ = {channels == 0 ? 0 : preparation.samples * sample_.elements() / channels, channels};
  }

  std::vector<Value> saved() const override { return {{DType::f32, matrix_}}; }

  void forward(const LayerContext& context) override {
    local_response_norm_forward(exec_, spec_, context.inputs[0].reshaped(matrix_),
                                context.output.reshaped(matrix_), context.saved[0]);
  }

  void backward(const LayerContext& context) override {
    if (const Tensor& gradient = context.input_gradients[0])
      local_response_norm_backward(exec_, spec_, context.inputs[0].reshaped(matrix_), context.saved[0],
                                   context.output_gradient.reshaped(matrix_), gradient.reshaped(matrix_));
  }

 private:
  LocalResponseNormSpec spec_;
  Shape sample_;
  Shape matrix_{0, 0};  ///< of a micro-batch: positions and channels
  Exec exec_;
};

}  // namespace

namespace layers {
const Description<LocalResponseNormOptions> local_response_norm = {
    "local_response_norm",
    "divides each value by a power of the squares of the channels around it (AlexNet)",
    {{"size", &LocalResponseNormOptions::size, "channels that count, its own included", at_least(1), true},
     {"alpha", &LocalResponseNormOptions::alpha, "factor of their mean square", kNotNegative},
     {"beta", &LocalResponseNormOptions::beta, "exponent", kNotNegative},
     {"k", &LocalResponseNormOptions::k, "added to the mean square", kPositive}},
    make_layer<LocalResponseNormLayer>};
}  // namespace layers

}  // namespace lockstep

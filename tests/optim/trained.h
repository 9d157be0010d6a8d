#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "src/ops/pointwise/cast.h"
#include "src/optim/optimizer.h"
#include "tests/optim/judged.h"
#include "tests/support/backend.h"
#include "tests/support/gradient_tree.h"

namespace lockstep {

/// Weights in the backend's memory and what trains them.
class Trained {
 public:
  Trained(Exec exec, const OptimizerSpec& spec, const std::vector<float>& weights,
          const std::vector<FlatBlock>& blocks, const std::optional<OptimizerShare>& share = std::nullopt)
      : optimizer(exec, spec, blocks, share),
        clips_(spec.clip_norm > 0),
        exec_(exec),
        weights_(exec, {static_cast<int64_t>(weights.size())}, weights),
        gradients_(exec, {static_cast<int64_t>(weights.size())}),
        judged_(exec),
        working_type_(exec.on_cuda() && weights.size() % 128 == 0 ? DType::f16 : DType::bf16),
        working_(exec, {static_cast<int64_t>(weights.size())}) {
    cast(exec_, weights_, working());
  }

  struct Update {
    float lr;
    int32_t number;  ///< from 1
  };
  /// Judges the step if asked to or if gradients are clipped, and updates the weights whatever the verdict.
  /// Returns the gradients' norm, or -1 if the step was not judged.
  float update(const Update& update, const std::vector<float>& gradients, bool judges = true) {
    const test::OnBackend<OptimizerScalars> on_backend(
        exec_, optimizer.scalars(static_cast<double>(update.lr), update.number));
    gradients_.set(gradients);
    judges = judges || clips_;
    if (judges) optimizer.judge(gradients_.span(), judged_.step());
    optimizer.update(on_backend.get(), weights_.span(), gradients_.span(), nullptr, working());
    EXPECT_TRUE(same_bits(gradients_.values(), gradients)) << "gradients changed";
    const std::vector<uint16_t> updated = working_.values();
    cast(exec_, weights_, working());
    EXPECT_EQ(updated, working_.values()) << "of the working copy, in " << to_string(working_type_);
    return judges ? judged_.verdict().gradient_norm : -1;
  }

  std::vector<float> weights() const { return weights_.values(); }
  std::vector<float> state(size_t i) const { return test::from_backend(exec_, optimizer.state()[i].values); }

  Optimizer optimizer;

 private:
  Tensor working() const { return {working_.span().data(), working_type_, weights_.tensor().shape()}; }

  bool clips_;
  Exec exec_;
  test::Guarded<float> weights_, gradients_;
  Judged judged_;
  DType working_type_;
  test::Guarded<uint16_t> working_;
};

/// A parameter of so many blocks.
struct ParameterBlocks {
  size_t count;
  bool decays;
};

/// The blocks of parameters that lie one after another.
inline std::vector<FlatBlock> blocks_of(const std::vector<ParameterBlocks>& parameters) {
  std::vector<FlatBlock> blocks;
  for (size_t i = 0; i < parameters.size(); ++i)
    blocks.insert(blocks.end(), parameters[i].count, {static_cast<int32_t>(i), parameters[i].decays});
  return blocks;
}

}  // namespace lockstep

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "src/device/buffer.h"
#include "src/ops/step_guard.h"
#include "src/tensor/flat.h"
#include "src/tensor/tensor.h"

namespace lockstep {

struct OptimizerSpec {
  std::string name = "adam";  ///< of a rule in src/optim/update_rules.cpp
  double lr = 1e-3;
  double momentum = 0;  ///< sgd, rmsprop, lars
  bool nesterov = false;
  double beta1 = 0.9, beta2 = 0.999;
  double alpha = 0.99;  ///< rmsprop's decay of the squared average
  double epsilon = 1e-8;
  double trust = 0.001;  ///< lars: the length of an update for a length of 1 of the weights
  /// added to the gradient (L2) or decoupled from it (Loshchilov and Hutter 2019), depending on the rule
  double weight_decay = 0;
  bool decay_all = false;  ///< also on biases and norms
  double clip_norm = 0;    ///< limits the norm of the global gradient; 0: off
};

/// The names of all update rules.
const std::vector<std::string>& optimizer_names();

/// One step's numbers, in the memory of the backend so that a captured step reads new values.
struct OptimizerScalars {
  float lr = 0;
  /// Adam's and LAMB's correction of means that start at 0, for update t: lr / (1 - beta1^t), 1 / (1 -
  /// beta1^t) and 1 / sqrt(1 - beta2^t)
  float unbiased_lr = 0, unbias_mean = 0, unbias_root = 0;
};

/// The part of the flat buffers that one of several ranks updates (Rajbhandari et al. 2020, "ZeRO: memory
/// optimizations toward training trillion parameter models", stage 1). Each block belongs to one rank.
struct OptimizerShare {
  struct Range {
    int64_t offset = 0, size = 0;  ///< floats; multiples of kFlatBlock
  };
  std::vector<Range> ranges;  ///< ascending
  int ranks = 1;
  int slot = 0;  ///< index of this rank's part in `gather`
  /// All-gathers `data`: `ranks` parts of equal length, a multiple of kFlatBlock floats, copied bit by bit.
  /// Enqueues; later work sees all parts.
  std::function<void(std::span<float> data)> gather = nullptr;
};

/// The number of state buffers that an optimizer keeps, each of the length of the trained weights. Throws
/// Error(usage) for an unknown name.
int optimizer_states(const OptimizerSpec& spec);

/// Optimizer::bytes() of an optimizer whose work is shared evenly by `ranks` ranks, without making one.
/// Throws Error(usage) for an unknown name.
int64_t optimizer_bytes(const OptimizerSpec& spec, std::span<const FlatBlock> blocks, int ranks = 1);

/// Updates flat fp32 master weights from flat gradients in one kernel launch (a few more for norms). The
/// formulas are PyTorch's; LARS is of You, Gitman and Ginsburg 2017 ("Large batch training of convolutional
/// networks", algorithm 1) and LAMB of You et al. 2020 ("Large batch optimization for deep learning: training
/// BERT in 76 minutes", algorithm 2). Those two scale the update of each parameter by its own norms, except
/// where weight decay does not apply (biases and norms), as the authors' code does.
/// Norms are exact sums, so the bits of an update do not depend on the number of ranks that share it.
class Optimizer {
 public:
  /// blocks: of the flat buffers. share: what this rank updates; everything by default. Throws Error(usage)
  /// for an unknown name or invalid number, naming the config key.
  Optimizer(Exec exec, const OptimizerSpec& spec, std::span<const FlatBlock> blocks,
            const std::optional<OptimizerShare>& share = std::nullopt);
  ~Optimizer();

  /// The numbers of update `number`, from 1, worked out on the host in double.
  OptimizerScalars scalars(double lr, int64_t number) const;

  /// Judges a step by its gradients and by what `step` names, and writes its verdict, with the global norm
  /// before clipping, and its guard. gradients: the whole flat buffer, of which this rank's share is read, in
  /// the backend's memory; times the scale of the loss, by which they are divided in the norm and in the
  /// update. Collective. Required before every update if gradients are clipped or the loss is scaled.
  /// Enqueues; does not wait.
  void judge(std::span<const float> gradients, const StepJudgement& step);

  /// weights and gradients are whole flat buffers; all arguments are in the backend's memory. Reads and
  /// writes only this rank's share, and nothing if `guard` says that the step does not apply; a null guard
  /// always applies. working: the weights in a type of two bytes, which is updated with them; empty if there
  /// is no such copy. Enqueues; does not wait.
  void update(const OptimizerScalars* scalars, std::span<float> weights, std::span<const float> gradients,
              const StepGuard* guard = nullptr, const Tensor& working = {});

  /// State buffers for checkpoints, by name: sgd {momentum}, adam {m, v}, ... Each holds one value per weight
  /// of this rank's share, in its order.
  struct State {
    std::string name;
    std::span<float> values;
  };
  const std::vector<State>& state() const;
  size_t bytes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lockstep

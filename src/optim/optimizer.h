#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "src/device/buffer.h"
#include "src/tensor/flat.h"

namespace lockstep {

struct OptimizerSpec {
  std::string name = "adam";  ///< sgd, adam, adamw, adagrad, rmsprop
  double lr = 1e-3;
  double momentum = 0;  ///< sgd, rmsprop
  bool nesterov = false;
  double beta1 = 0.9, beta2 = 0.999;
  double alpha = 0.99;  ///< rmsprop's decay of the squared average
  double epsilon = 1e-8;
  double weight_decay = 0;  ///< L2 added to the gradient; decoupled in adamw (Loshchilov and Hutter 2019)
  bool decay_all = false;   ///< also on biases and norms
  double clip_norm = 0;     ///< of the global gradient; 0: off
};

/// One step's numbers, in the memory of the backend so that a captured step reads new values.
struct OptimizerScalars {
  float lr = 0;
  int32_t step = 0;  ///< of this update, from 1: for Adam's bias correction
};

/// Updates flat fp32 master weights from flat gradients, one launch (two when clipping). The formulas are
/// PyTorch's.
class Optimizer {
 public:
  /// size: floats in the flat buffers, a multiple of kFlatBlock. decay (size / kFlatBlock) on the host: 1
  /// where weight decay applies. Throws Error(usage) for an unknown name or impossible number, naming the
  /// config key.
  Optimizer(Exec exec, const OptimizerSpec& spec, int64_t size, std::span<const uint8_t> decay);
  ~Optimizer();

  /// weights and gradients (size) in the backend's memory; scalars too. Enqueues; does not wait.
  /// gradient_norm (1): the global norm before clipping is stored there when clip_norm is set or it is not
  /// null.
  void update(const OptimizerScalars* scalars, std::span<float> weights, std::span<const float> gradients,
              float* gradient_norm);

  /// State buffers by name, flat like the weights: sgd {momentum}, adam {m, v}, ... for checkpoints.
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

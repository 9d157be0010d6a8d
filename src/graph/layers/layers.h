#pragma once

#include "src/graph/layer.h"
#include "src/ops/pointwise/activation.h"

namespace lockstep {

// Makers of all layers; one file each in this folder. Options are checked in infer(), where shapes are known.

struct LinearOptions {
  int64_t outputs = 0;
  bool bias = true;
  Init init = Init::glorot_uniform;
};
/// x (In) -> (outputs).
std::unique_ptr<Layer> make_linear(const LinearOptions& options);

struct Conv2dOptions {
  int64_t filters = 0;
  int64_t kernel_h = 3, kernel_w = 3;
  int64_t stride_h = 1, stride_w = 1;
  int64_t pad_h = 0, pad_w = 0;
  int64_t dilation_h = 1, dilation_w = 1;
  int64_t groups = 1;
  bool bias = true;
  Init init = Init::glorot_uniform;
};
/// x (H, W, C) -> (H', W', filters).
std::unique_ptr<Layer> make_conv2d(const Conv2dOptions& options);

struct Pool2dOptions {
  int64_t window_h = 2, window_w = 2;
  int64_t stride_h = 0, stride_w = 0;  ///< 0: the window
  int64_t pad_h = 0, pad_w = 0;
};
std::unique_ptr<Layer> make_max_pool2d(const Pool2dOptions& options);
std::unique_ptr<Layer> make_average_pool2d(const Pool2dOptions& options);
/// x (..., C) -> (C).
std::unique_ptr<Layer> make_global_average_pool();

/// A trained vector added along the last axis.
std::unique_ptr<Layer> make_bias();
std::unique_ptr<Layer> make_activation(Activation activation);

struct BatchNormOptions {
  double momentum = 0.1;  ///< weight of the new batch in the running statistics
  double epsilon = 1e-5;
};
std::unique_ptr<Layer> make_batch_norm(const BatchNormOptions& options);

/// The layer's name and run.seed choose the mask.
std::unique_ptr<Layer> make_dropout(const std::string& name, double rate, uint64_t seed);
/// x + y, two inputs of one shape.
std::unique_ptr<Layer> make_add();
/// x (...) -> (product), in memory order: (H, W, C) with C fastest.
std::unique_ptr<Layer> make_flatten();

}  // namespace lockstep

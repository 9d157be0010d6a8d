#pragma once

#include <cstdint>

#include "src/ops/conv/conv.h"
#include "src/ops/matmul/matmul.h"
#include "src/ops/pointwise/activation.h"
#include "src/ops/pool/pool.h"
#include "tests/support/compare.h"

/// The operations' mathematics in double, written for reading: each is its definition, in plain loops.
/// Gradients are not written here at all: they are differences of these functions (compare.h).
namespace lockstep::test::oracle {

Doubles matmul(const MatmulSpec& spec, const Doubles& a, const Doubles& b, const Doubles& bias);

Doubles activation(const ActivationSpec& spec, const Doubles& x);

/// Also the transposed convolution.
Doubles conv(const ConvSpec& spec, const Doubles& x, const Doubles& w, const Doubles& b);

/// The maxima, and the position of the first maximum inside each window.
struct MaxPool {
  Doubles y;
  std::vector<uint8_t> argmax;
};
MaxPool max_pool(const PoolSpec& spec, const Doubles& x);
Doubles average_pool(const PoolSpec& spec, const Doubles& x);

/// Over the first `rows` rows of (rows, channels).
struct BatchNorm {
  Doubles y, mean, biased_variance, unbiased_variance;
};
BatchNorm batch_norm(int64_t rows, int64_t channels, double epsilon, const Doubles& x, const Doubles& scale,
                     const Doubles& shift);

/// The loss of each row; targets are probabilities before smoothing.
Doubles cross_entropy(int64_t rows, int64_t classes, double smoothing, const Doubles& logits,
                      const Doubles& targets);
Doubles softmax(int64_t rows, int64_t classes, const Doubles& logits);

}  // namespace lockstep::test::oracle

#pragma once

#include <string>
#include <vector>

#include "src/device/exec.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// Elementwise functions, as PyTorch defines them.
enum class Activation {
  relu,
  leaky_relu,  ///< alpha x below 0 (Maas et al. 2013)
  relu6,       ///< min(max(0, x), 6) (Krizhevsky 2010)
  elu,         ///< alpha (exp(x) - 1) below 0 (Clevert et al. 2016)
  sigmoid,
  tanh,
  gelu,        ///< x Phi(x) (Hendrycks and Gimpel 2016, equation 1)
  gelu_tanh,   ///< its approximation by tanh, which GPT-2 uses (equation 2)
  silu,        ///< x sigmoid(x), also called Swish (Ramachandran et al. 2017)
  hard_swish,  ///< x relu6(x + 3) / 6 (Howard et al. 2019)
  softplus,    ///< log(1 + exp(x))
};

std::string to_string(Activation activation);
const std::vector<Activation>& activations();

/// An activation and its parameter.
struct ActivationSpec {
  ActivationSpec(Activation activation, float parameter = 0) : function(activation), alpha(parameter) {}

  Activation function;
  float alpha;  ///< of leaky_relu and elu; not negative
};

/// Whether backward reads the input x rather than the output y.
bool backward_reads_input(Activation activation);

/// y = f(x), any shape; y may alias x when backward reads the output. Enqueues; does not wait.
void activation_forward(Exec exec, const ActivationSpec& spec, ConstTensor x, Tensor y);
/// dx = dy f'(x); `saved` is x or y, as backward_reads_input says. dx may alias dy. At a kink the derivative
/// is that of the constant side, and of leaky_relu and elu that of the left.
void activation_backward(Exec exec, const ActivationSpec& spec, ConstTensor saved, ConstTensor dy, Tensor dx);

}  // namespace lockstep

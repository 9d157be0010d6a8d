#pragma once

#include <string>

#include "src/device/exec.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// Elementwise functions. GELU is exact, x Phi(x) (Hendrycks and Gimpel 2016, equation 1).
enum class Activation { relu, sigmoid, tanh, gelu };

std::string to_string(Activation activation);

/// Whether backward reads the input x (GELU) rather than the output y (the others).
bool backward_reads_input(Activation activation);

/// y = f(x), any shape; y may alias x when backward reads the output. Enqueues; does not wait.
void activation_forward(Exec exec, Activation activation, ConstTensor x, Tensor y);
/// dx = dy f'(x); `saved` is x or y, as backward_reads_input says. dx may alias dy. ReLU's derivative at 0 is
/// 0.
void activation_backward(Exec exec, Activation activation, ConstTensor saved, ConstTensor dy, Tensor dx);

}  // namespace lockstep

#pragma once

#include "tests/support/harness/op_case.h"

// What is checked of every operation. A failure names the operation, the case with its number of rows, the
// backend, the tensor and where in it, both values and the tolerance.
namespace lockstep::test {

/// Outputs are those of the oracle, gradients its derivatives; nothing is written outside of a tensor, and no
/// input is changed. Also with no rows, with 1 and with 3. What CUDA computes is also what the CPU does.
void check_oracle(Exec exec, const Op& op);

/// The same with activations of two bytes, for cases that say which tensors those are: bf16, and on CUDA f16.
void check_precisions(Exec exec, const Op& op);

/// Rows of padding, full of NaN, count for nothing, and are zero where they are written.
void check_padding(Exec exec, const Op& op);

/// An output may lie where the case says that it may alias an input, or be left out where the case says so,
/// and nothing else changes by a bit.
void check_aliases(Exec exec, const Op& op);

/// The same bits each time: for an object that is used again, for a new one, whatever outputs and workspace
/// held, and at any address that the case allows.
void check_repeats(Exec exec, const Op& op);

/// A tensor of another shape, and a workspace that is too small, are errors of kind `bug`.
void check_shapes(Exec exec, const Op& op);

/// The same bits on the CPU, however many threads there are and whatever runs at the same time.
void check_threads(const Op& op);

}  // namespace lockstep::test

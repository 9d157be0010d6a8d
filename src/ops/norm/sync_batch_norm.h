#pragma once

#include "src/device/exec.h"
#include "src/ops/micro_batch.h"
#include "src/ops/norm/batch_norm.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// Synchronized batch normalization: micro-batches that are computed at the same time, also on other threads
/// and ranks, are normalized as one, each weighted by its real samples.
/// It runs in stages. Between two stages, the `totals` or `deviations` written by the first are replaced by
/// their sum over all these micro-batches, including those that are only padding. The first sum gives the
/// mean and the second the deviations from it: the corrected two-pass algorithm of Chan, Golub and LeVeque
/// 1983, "Algorithms for computing the sample variance", which loses no digits in float for any mean and
/// number of values. Each micro-batch reads its x once for both (Chan, Golub and LeVeque 1979, "Updating
/// formulae and a pairwise algorithm").
/// Shapes and everything not stated here are as in batch_norm.h. All enqueue and do not wait.

/// Stage 1 of forward. moments (3, C) out: a pivot near this micro-batch's mean, and the sums of x - pivot
/// and of (x - pivot)^2. totals (C + 1) out: the sums of x, and the number of real samples.
void sync_batch_norm_moments(Exec exec, const MicroBatchInfo* info, ConstTensor x, Tensor moments,
                             Tensor totals);

/// Stage 2. deviations (2, C) out: the sums of x - m and of (x - m)^2, where m is the mean computed from the
/// summed totals. positions: of one sample, the product of the axes between N and C.
void sync_batch_norm_deviations(Exec exec, const MicroBatchInfo* info, int64_t positions, ConstTensor moments,
                                ConstTensor totals, Tensor deviations);

/// Stage 3, with both totals and deviations summed: y and the other outputs of forward. The mean and the
/// unbiased variance in `sums` are those of all micro-batches together, times the real samples of this one.
void sync_batch_norm_normalize(Exec exec, const MicroBatchInfo* info, float epsilon, ConstTensor x,
                               ConstTensor scale, ConstTensor shift, ConstTensor running, ConstTensor totals,
                               ConstTensor deviations, Tensor y, Tensor saved_mean, Tensor saved_inverse_std,
                               Tensor sums, const BatchNormEpilogue& epilogue = {});

/// Stage 1 of backward: dscale and dshift of this micro-batch alone, which are added over the global batch
/// like any gradient. totals (2 C + 1) out: dshift, dscale, and the number of real samples. Also dadded.
void sync_batch_norm_gradient_sums(Exec exec, const MicroBatchInfo* info, ConstTensor x, ConstTensor scale,
                                   ConstTensor shift, ConstTensor saved_mean, ConstTensor saved_inverse_std,
                                   Tensor dy, Tensor dscale, Tensor dshift, Tensor totals,
                                   const BatchNormEpilogueGradient& epilogue = {});

/// Stage 2, with summed totals and the same dy and epilogue: dx, as in batch_norm_backward, but not empty.
void sync_batch_norm_input_gradient(Exec exec, const MicroBatchInfo* info, ConstTensor x, ConstTensor scale,
                                    ConstTensor shift, ConstTensor saved_mean, ConstTensor saved_inverse_std,
                                    Tensor dy, ConstTensor totals, Tensor dx,
                                    const BatchNormEpilogueGradient& epilogue = {});

}  // namespace lockstep

#pragma once

#include <cstdint>

#include "src/device/exec.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// The random numbers of one sample: Philox's key and the upper half of its counter.
struct NoiseKey {
  uint64_t key = 0, sample = 0;
};
inline constexpr int64_t kNoiseWords = sizeof(NoiseKey) / sizeof(int64_t);

/// In place: adds normally distributed numbers of mean 0. x (N, ...) float32; keys (N, kNoiseWords) int64
/// holds a NoiseKey for each sample; deviations (N) float32 are the standard deviations, 0 leaves a sample as
/// it is. Element e uses words 2 (e % 2) and 2 (e % 2) + 1 of philox(key, sample, e / 2): r = sqrt(-2 log u),
/// angle = 2 pi v, with u = (word + 1) / 2^32 and v = word / 2^32, and r cos(angle) (Box and Muller 1958).
/// Enqueues; does not wait.
void add_noise(Exec exec, ConstTensor keys, ConstTensor deviations, Tensor x);

namespace cuda {
void add_noise(Exec exec, ConstTensor keys, ConstTensor deviations, Tensor x);
}  // namespace cuda

}  // namespace lockstep

#pragma once

#include <cstdint>

#include "src/ops/pool/pool.h"

/// The CPU loops of pooling: as in pool.h, but callers have checked the arguments.
namespace lockstep::cpu {

void max_pool_forward(const PoolSpec& spec, const float* x, float* y, uint8_t* argmax);
void max_pool_backward(const PoolSpec& spec, const uint8_t* argmax, const float* dy, float* dx);
void average_pool_forward(const PoolSpec& spec, const float* x, float* y);
void average_pool_backward(const PoolSpec& spec, const float* dy, float* dx);
void global_average_pool_forward(int64_t samples, int64_t positions, int64_t channels, const float* x,
                                 float* y);
void global_average_pool_backward(int64_t samples, int64_t positions, int64_t channels, const float* dy,
                                  float* dx);

}  // namespace lockstep::cpu

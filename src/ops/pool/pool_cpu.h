#pragma once

#include <cstdint>

#include "src/ops/pool/pool.h"
#include "src/tensor/real.h"

/// The CPU loops of pooling: as in pool.h, but callers have checked the arguments. T: float or bf16.
namespace lockstep::cpu {

template <Real T>
void max_pool_forward(const PoolSpec& spec, const T* x, T* y, uint8_t* argmax);
template <Real T>
void max_pool_backward(const PoolSpec& spec, const uint8_t* argmax, const T* dy, T* dx);
template <Real T>
void average_pool_forward(const PoolSpec& spec, const T* x, T* y);
template <Real T>
void average_pool_backward(const PoolSpec& spec, const T* dy, T* dx);
template <Real T>
void global_average_pool_forward(int64_t samples, int64_t positions, int64_t channels, const T* x, T* y);
template <Real T>
void global_average_pool_backward(int64_t samples, int64_t positions, int64_t channels, const T* dy, T* dx);

}  // namespace lockstep::cpu

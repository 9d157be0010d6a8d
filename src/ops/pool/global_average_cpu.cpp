#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "src/ops/column_sum.h"
#include "src/ops/pool/pool_cpu.h"

namespace lockstep::cpu {

template <Real T>
void global_average_pool_forward(int64_t samples, int64_t positions, int64_t channels, const T* x, T* y) {
  std::vector<double> sums(static_cast<size_t>(channels));
  for (int64_t n = 0; n < samples; ++n, x += positions * channels, y += channels) {
    std::fill(sums.begin(), sums.end(), 0.0);
    column_sum(positions, channels, sums.data(),
               [=](int64_t position, int64_t c) -> float { return x[position * channels + c]; });
    for (size_t c = 0; c < sums.size(); ++c)
      y[c] = T(static_cast<float>(sums[c] / static_cast<double>(positions)));
  }
}

template <Real T>
void global_average_pool_backward(int64_t samples, int64_t positions, int64_t channels, const T* dy, T* dx) {
  const float divisor = 1 / static_cast<float>(positions);
  for (int64_t n = 0; n < samples; ++n, dy += channels)
    for (int64_t position = 0; position < positions; ++position, dx += channels)
      for (int64_t c = 0; c < channels; ++c) dx[c] = T(dy[c] * divisor);
}

template void global_average_pool_forward<float>(int64_t, int64_t, int64_t, const float*, float*);
template void global_average_pool_backward<float>(int64_t, int64_t, int64_t, const float*, float*);
template void global_average_pool_forward<bf16>(int64_t, int64_t, int64_t, const bf16*, bf16*);
template void global_average_pool_backward<bf16>(int64_t, int64_t, int64_t, const bf16*, bf16*);

}  // namespace lockstep::cpu

#pragma once

// Gradients of activations that kernels of other operations also apply, and what they share with the
// functions themselves. For .cu files. Comparisons are written so that NaN stays NaN, because a diverged run
// must be detected.

namespace lockstep::cuda {

struct ReluGradient {
  __device__ float operator()(float y, float dy) const { return y > 0.0f ? dy : 0.0f; }
};

inline constexpr float kSqrtHalf = 0.70710678118654752f;
inline constexpr float kInverseSqrtTwoPi = 0.39894228040143268f;

// erfc keeps its relative precision where 1 + erf would cancel.
struct GeluGradient {
  __device__ float operator()(float x, float dy) const {
    return dy * (0.5f * erfcf(-x * kSqrtHalf) + x * kInverseSqrtTwoPi * expf(-0.5f * x * x));
  }
};

// 0.5 (1 + tanh(u)) is the logistic function of 2 u, which does not cancel.
inline constexpr float kTwiceSqrtTwoOverPi = 1.5957691216057308f, kCubic = 0.044715f;

__device__ inline float logistic(float x) { return 1.0f / (1.0f + expf(-x)); }

struct GeluTanhGradient {
  __device__ float operator()(float x, float dy) const {
    const float s = logistic(kTwiceSqrtTwoOverPi * x * (1.0f + kCubic * x * x));
    // Where the slope of the logistic function is 0, x^3 may be infinite.
    const float slope = s * (1.0f - s);
    return dy * (slope == 0.0f ? s : s + slope * kTwiceSqrtTwoOverPi * x * (1.0f + 3.0f * kCubic * x * x));
  }
};

}  // namespace lockstep::cuda

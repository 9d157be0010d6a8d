#include "src/device/elementwise_kernels.h"
#include "src/ops/cuda_ops.h"

namespace lockstep::cuda {

namespace {

// Comparisons are written so that NaN stays NaN, because a diverged run must be detected.
struct Relu {
  __device__ float operator()(float x) const { return x < 0.0f ? 0.0f : x; }
};
struct ReluGradient {
  __device__ float operator()(float y, float dy) const { return y > 0.0f ? dy : 0.0f; }
};

struct Sigmoid {
  __device__ float operator()(float x) const { return 1.0f / (1.0f + expf(-x)); }
};
struct SigmoidGradient {
  __device__ float operator()(float y, float dy) const { return dy * y * (1.0f - y); }
};

struct Tanh {
  __device__ float operator()(float x) const { return tanhf(x); }
};
struct TanhGradient {
  __device__ float operator()(float y, float dy) const { return dy * (1.0f - y * y); }
};

constexpr float kSqrtHalf = 0.70710678118654752f;
constexpr float kInverseSqrtTwoPi = 0.39894228040143268f;

// erfc keeps its relative precision where 1 + erf would cancel.
struct Gelu {
  __device__ float operator()(float x) const { return 0.5f * x * erfcf(-x * kSqrtHalf); }
};
struct GeluGradient {
  __device__ float operator()(float x, float dy) const {
    return dy * (0.5f * erfcf(-x * kSqrtHalf) + x * kInverseSqrtTwoPi * expf(-0.5f * x * x));
  }
};

}  // namespace

void activation_forward(Exec exec, Activation activation, ConstTensor x, Tensor y) {
  const auto run = [&](auto f) {
    map(compute_stream(exec), f, x.data<float>(), y.data<float>(), y.elements());
  };
  switch (activation) {
    case Activation::relu:
      return run(Relu{});
    case Activation::sigmoid:
      return run(Sigmoid{});
    case Activation::tanh:
      return run(Tanh{});
    case Activation::gelu:
      return run(Gelu{});
  }
}

void activation_backward(Exec exec, Activation activation, ConstTensor saved, ConstTensor dy, Tensor dx) {
  const auto run = [&](auto f) {
    zip(compute_stream(exec), f, saved.data<float>(), dy.data<float>(), dx.data<float>(), dx.elements());
  };
  switch (activation) {
    case Activation::relu:
      return run(ReluGradient{});
    case Activation::sigmoid:
      return run(SigmoidGradient{});
    case Activation::tanh:
      return run(TanhGradient{});
    case Activation::gelu:
      return run(GeluGradient{});
  }
}

}  // namespace lockstep::cuda

#include "src/device/elementwise_kernels.h"
#include "src/ops/cuda_ops.h"
#include "src/ops/pointwise/activation_gradients.h"
#include "src/tensor/real.h"

namespace lockstep::cuda {

namespace {

// Comparisons are written so that NaN stays NaN, because a diverged run must be detected.
struct Relu {
  __device__ float operator()(float x) const { return x < 0.0f ? 0.0f : x; }
};

struct LeakyRelu {
  float alpha;
  __device__ float operator()(float x) const { return x < 0.0f ? alpha * x : x; }
};
struct LeakyReluGradient {
  float alpha;
  __device__ float operator()(float y, float dy) const { return y > 0.0f ? dy : alpha * dy; }
};

struct Relu6 {
  __device__ float operator()(float x) const { return x < 0.0f ? 0.0f : x > 6.0f ? 6.0f : x; }
};
struct Relu6Gradient {
  __device__ float operator()(float y, float dy) const { return y > 0.0f && y < 6.0f ? dy : 0.0f; }
};

struct Elu {
  float alpha;
  __device__ float operator()(float x) const { return x > 0.0f ? x : alpha * expm1f(x); }
};
struct EluGradient {
  float alpha;
  __device__ float operator()(float y, float dy) const { return y > 0.0f ? dy : dy * (y + alpha); }
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

struct Gelu {
  __device__ float operator()(float x) const { return 0.5f * x * erfcf(-x * kSqrtHalf); }
};
struct GeluTanh {
  __device__ float operator()(float x) const {
    return x * logistic(kTwiceSqrtTwoOverPi * x * (1.0f + kCubic * x * x));
  }
};

struct Silu {
  __device__ float operator()(float x) const { return x * logistic(x); }
};
struct SiluGradient {
  __device__ float operator()(float x, float dy) const {
    const float s = logistic(x);
    return dy * (s + x * s * (1.0f - s));
  }
};

struct HardSwish {
  __device__ float operator()(float x) const {
    return x <= -3.0f ? 0.0f : x >= 3.0f ? x : x * (x + 3.0f) / 6.0f;
  }
};
struct HardSwishGradient {
  __device__ float operator()(float x, float dy) const {
    return x <= -3.0f ? 0.0f : x >= 3.0f ? dy : dy * (x / 3.0f + 0.5f);
  }
};

struct Softplus {
  // The larger of 0 and x, and a correction that does not overflow. fmaxf would hide NaN.
  __device__ float operator()(float x) const { return (x < 0.0f ? 0.0f : x) + log1pf(expf(-fabsf(x))); }
};
struct SoftplusGradient {
  __device__ float operator()(float x, float dy) const { return dy * logistic(x); }
};

}  // namespace

void activation_forward(Exec exec, const ActivationSpec& spec, ConstTensor x, Tensor y) {
  const auto run = [&](auto f) {
    with_real(y.dtype(),
              [&]<Real T>(T) { map(compute_stream(exec), f, x.data<T>(), y.data<T>(), y.elements()); });
  };
  switch (spec.function) {
    case Activation::relu:
      return run(Relu{});
    case Activation::leaky_relu:
      return run(LeakyRelu{spec.alpha});
    case Activation::relu6:
      return run(Relu6{});
    case Activation::elu:
      return run(Elu{spec.alpha});
    case Activation::sigmoid:
      return run(Sigmoid{});
    case Activation::tanh:
      return run(Tanh{});
    case Activation::gelu:
      return run(Gelu{});
    case Activation::gelu_tanh:
      return run(GeluTanh{});
    case Activation::silu:
      return run(Silu{});
    case Activation::hard_swish:
      return run(HardSwish{});
    case Activation::softplus:
      return run(Softplus{});
  }
}

void activation_backward(Exec exec, const ActivationSpec& spec, ConstTensor saved, ConstTensor dy,
                         Tensor dx) {
  const auto run = [&](auto f) {
    with_real(dx.dtype(), [&]<Real T>(T) {
      zip(compute_stream(exec), f, saved.data<T>(), dy.data<T>(), dx.data<T>(), dx.elements());
    });
  };
  switch (spec.function) {
    case Activation::relu:
      return run(ReluGradient{});
    case Activation::leaky_relu:
      return run(LeakyReluGradient{spec.alpha});
    case Activation::relu6:
      return run(Relu6Gradient{});
    case Activation::elu:
      return run(EluGradient{spec.alpha});
    case Activation::sigmoid:
      return run(SigmoidGradient{});
    case Activation::tanh:
      return run(TanhGradient{});
    case Activation::gelu:
      return run(GeluGradient{});
    case Activation::gelu_tanh:
      return run(GeluTanhGradient{});
    case Activation::silu:
      return run(SiluGradient{});
    case Activation::hard_swish:
      return run(HardSwishGradient{});
    case Activation::softplus:
      return run(SoftplusGradient{});
  }
}

}  // namespace lockstep::cuda

#include "src/ops/columns.h"
#include "src/ops/cuda_ops.h"
#include "src/ops/pointwise/activation_gradients.h"
#include "src/tensor/real.h"

namespace lockstep::cuda {

namespace {

template <bool kRelu, Real Type>
struct AddBias : Matrices<Type, 1> {
  const Type* bias;  ///< null: no bias

  struct Column {
    float bias;
    __device__ float operator()(int64_t, const float* x) const {
      const float sum = x[0] + bias;
      return kRelu && sum < 0.0f ? 0.0f : sum;
    }
  };
  __device__ Column column(int64_t column) const { return {bias == nullptr ? 0.0f : float{bias[column]}}; }
};

template <Real Type>
struct Gradient : Matrices<Type, 1> {
  struct Column {
    __device__ Pair operator()(int64_t, const float* dy) const { return {dy[0], 0.0f}; }
  };
  __device__ Column column(int64_t) const { return {}; }
};

/// elements: dy, and what the gradient F of an activation is computed from. What is stored is summed.
template <typename F, Real Type>
struct GradientBefore : Matrices<Type, 2> {
  struct Column {
    __device__ Pair operator()(int64_t, const float* elements) const {
      return {float{Type(F{}(elements[1], elements[0]))}, 0.0f};
    }
  };
  __device__ Column column(int64_t) const { return {}; }
};

struct StoreFirst {
  float* db;
  __device__ void operator()(int64_t column, Sums sum) const { db[column] = static_cast<float>(sum.first); }
};

}  // namespace

void bias_forward(Exec exec, ConstTensor x, ConstTensor b, Tensor y, bool relu) {
  if (y.elements() == 0) return;
  const int64_t columns = y.shape()[-1], rows = y.elements() / columns;
  with_real(y.dtype(), [&]<Real T>(T) {
    if (relu)
      column_map(exec, AddBias<true, T>{{{x.data<T>()}, columns}, b.data<T>()}, rows, columns, y.data<T>());
    else
      column_map(exec, AddBias<false, T>{{{x.data<T>()}, columns}, b.data<T>()}, rows, columns, y.data<T>());
  });
}

void bias_backward(Exec exec, ConstTensor dy, Tensor db) {
  const int64_t columns = db.elements();
  if (columns == 0) return;
  with_real(dy.dtype(), [&]<Real T>(T) {
    column_sums(exec, Gradient<T>{{{dy.data<T>()}, columns}}, StoreFirst{db.data<float>()},
                dy.elements() / columns, columns);
  });
}

void bias_activation_backward(Exec exec, Activation activation, ConstTensor kept, Tensor dy, Tensor db) {
  const int64_t columns = db.elements();
  const auto run = [&]<typename F>(F) {
    with_real(dy.dtype(), [&]<Real T>(T) {
      column_sums(exec, GradientBefore<F, T>{{{dy.data<T>(), kept.data<T>()}, columns}},
                  StoreFirst{db.data<float>()}, dy.elements() / columns, columns, dy.data<T>());
    });
  };
  if (activation == Activation::relu) return run(ReluGradient{});
  if (activation == Activation::gelu) return run(GeluGradient{});
  run(GeluTanhGradient{});
}

}  // namespace lockstep::cuda

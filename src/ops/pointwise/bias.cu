#include "src/ops/columns.h"
#include "src/ops/cuda_ops.h"
#include "src/ops/pointwise/bias_cuda.h"
#include "src/tensor/real.h"

namespace lockstep::cuda {

namespace {

template <bool kRelu, Real T>
struct AddBias {
  const T* x;
  const T* bias;  ///< null: no bias

  struct Column {
    const T* x;
    float bias;
    __device__ float operator()(int64_t, int64_t element) const {
      const float sum = x[element] + bias;
      return kRelu && sum < 0.0f ? 0.0f : sum;
    }
  };
  __device__ Column operator()(int64_t column) const {
    return {x, bias == nullptr ? 0.0f : float{bias[column]}};
  }
};

template <Real T>
struct Gradient {
  const T* dy;
  int64_t columns;
  __device__ Pair operator()(int64_t row, int64_t column) const { return {dy[row * columns + column], 0.0f}; }
};

struct StoreFirst {
  float* db;
  __device__ void operator()(int64_t column, Sums sum) const { db[column] = static_cast<float>(sum.first); }
};

}  // namespace

void bias_forward(Exec exec, ConstTensor x, ConstTensor b, Tensor y) {
  if (y.elements() == 0) return;
  const int64_t columns = b.elements();
  with_real(y.dtype(), [&]<Real T>(T) {
    column_map(exec, AddBias<false, T>{x.data<T>(), b.data<T>()}, y.elements() / columns, columns,
               y.data<T>());
  });
}

void bias_relu_in_place(Exec exec, ConstTensor b, Tensor y) {
  if (y.elements() == 0) return;
  const int64_t columns = y.shape()[-1];
  with_real(y.dtype(), [&]<Real T>(T) {
    column_map(exec, AddBias<true, T>{y.data<T>(), b.data<T>()}, y.elements() / columns, columns,
               y.data<T>());
  });
}

void bias_backward(Exec exec, ConstTensor dy, Tensor db) {
  const int64_t columns = db.elements();
  if (columns == 0) return;
  with_real(dy.dtype(), [&]<Real T>(T) {
    column_sums(exec, Gradient<T>{dy.data<T>(), columns}, StoreFirst{db.data<float>()},
                dy.elements() / columns, columns);
  });
}

}  // namespace lockstep::cuda

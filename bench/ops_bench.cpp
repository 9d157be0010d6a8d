// Every operation of `cnn` and `mlp` at their shapes, on one core of the CPU. FLOP/s and bytes/s are what the
// mathematics needs, not what an implementation happens to do.
//   OMP_NUM_THREADS=1 build/.../bench/ops_bench
#include <benchmark/benchmark.h>
#include <omp.h>

#include <algorithm>

#include "src/core/rng.h"
#include "src/device/buffer.h"
#include "src/ops/conv/conv2d.h"
#include "src/ops/input/preprocess.h"
#include "src/ops/loss/loss.h"
#include "src/ops/matmul/linear.h"
#include "src/ops/norm/batch_norm.h"
#include "src/ops/pointwise/activation.h"
#include "src/ops/pointwise/bias.h"
#include "src/ops/pointwise/dropout.h"
#include "src/ops/pool/pool2d.h"

namespace lockstep {
namespace {

/// A tensor with its memory, filled with normal numbers.
struct Data {
  explicit Data(const Shape& shape, DType dtype = DType::f32)
      : buffer(Exec{}, Memory::host, static_cast<size_t>(shape.elements()) * size_of(dtype)),
        tensor(buffer.data(), dtype, shape) {
    RandomStream random(1, 2);
    if (dtype == DType::f32)
      for (float& value : buffer.as<float>()) value = random.next_normal();
    else if (dtype == DType::u8)
      for (uint8_t& value : buffer.as<uint8_t>()) value = static_cast<uint8_t>(random.next());
  }
  operator Tensor() const { return tensor; }
  operator ConstTensor() const { return tensor; }

  Buffer buffer;
  Tensor tensor;
};

Data workspace_of(size_t bytes) { return Data({static_cast<int64_t>(bytes) + 1}, DType::u8); }

void report(benchmark::State& state, int64_t samples, double flops, double bytes) {
  omp_set_num_threads(1);
  const auto rounds = static_cast<double>(state.iterations());
  const auto rate = benchmark::Counter::kIsRate;
  state.counters["samples"] = benchmark::Counter(rounds * static_cast<double>(samples), rate);
  if (flops > 0) state.counters["FLOP"] = benchmark::Counter(rounds * flops, rate);
  if (bytes > 0) state.counters["bytes"] = benchmark::Counter(rounds * bytes, rate);
}

enum Pass { kForward, kBackwardWeights, kBackward };

void convolution(benchmark::State& state, Conv2dSpec spec, Pass pass) {
  omp_set_num_threads(1);
  spec.n = state.range(0);
  spec.needs_dx = pass == kBackward;
  spec.relu = true;
  Conv2d op({}, spec);
  const Data x({spec.n, spec.h, spec.w, spec.c}), w({spec.k, spec.r, spec.s, spec.c}), b({spec.k});
  const Data y({spec.n, spec.out_h(), spec.out_w(), spec.k});
  const Data dx(x.tensor.shape()), dw(w.tensor.shape()), db(b.tensor.shape());
  const Data workspace = workspace_of(op.workspace_bytes());
  for (auto _ : state) {
    if (pass == kForward)
      op.forward(x, w, b, y, workspace);
    else
      op.backward(x, w, y, pass == kBackward ? dx : Tensor{}, dw, db, workspace);
  }
  const double flops = 2.0 * static_cast<double>(y.tensor.elements() * w.tensor.elements() / spec.k);
  report(state, spec.n, pass == kBackward ? 2 * flops : flops, 0);
}

const Conv2dSpec kFirst{.h = 28, .w = 28, .c = 1, .k = 32, .r = 3, .s = 3};
const Conv2dSpec kSecond{.h = 13, .w = 13, .c = 32, .k = 64, .r = 3, .s = 3};
BENCHMARK_CAPTURE(convolution, first_forward, kFirst, kForward)->Arg(32)->Arg(64);
BENCHMARK_CAPTURE(convolution, first_backward_weights, kFirst, kBackwardWeights)->Arg(32)->Arg(64);
BENCHMARK_CAPTURE(convolution, second_forward, kSecond, kForward)->Arg(32)->Arg(64);
BENCHMARK_CAPTURE(convolution, second_backward_weights, kSecond, kBackwardWeights)->Arg(32)->Arg(64);
BENCHMARK_CAPTURE(convolution, second_backward, kSecond, kBackward)->Arg(32)->Arg(64);

void linear(benchmark::State& state, LinearSpec spec, Pass pass) {
  omp_set_num_threads(1);
  spec.rows = state.range(0);
  spec.needs_dx = pass == kBackward;
  Linear op({}, spec);
  const Data x({spec.rows, spec.in}), w({spec.out, spec.in}), b({spec.out}), y({spec.rows, spec.out});
  const Data dx(x.tensor.shape()), dw(w.tensor.shape()), db(b.tensor.shape());
  const Data workspace = workspace_of(op.workspace_bytes());
  for (auto _ : state) {
    if (pass == kForward)
      op.forward(x, w, b, y, workspace);
    else
      op.backward(x, w, y, pass == kBackward ? dx : Tensor{}, dw, db, workspace);
  }
  const double flops = 2.0 * static_cast<double>(spec.rows * spec.in * spec.out);
  report(state, spec.rows, pass == kBackward ? 2 * flops : flops, 0);
}

const LinearSpec kHidden{.in = 784, .out = 64}, kOutput{.in = 64, .out = 10},
    kClassifier{.in = 1600, .out = 10};
BENCHMARK_CAPTURE(linear, hidden_forward, kHidden, kForward)->Arg(32)->Arg(64);
BENCHMARK_CAPTURE(linear, hidden_backward_weights, kHidden, kBackwardWeights)->Arg(32)->Arg(64);
BENCHMARK_CAPTURE(linear, output_forward, kOutput, kForward)->Arg(32)->Arg(64);
BENCHMARK_CAPTURE(linear, output_backward, kOutput, kBackward)->Arg(32)->Arg(64);
BENCHMARK_CAPTURE(linear, classifier_forward, kClassifier, kForward)->Arg(32)->Arg(64);
BENCHMARK_CAPTURE(linear, classifier_backward, kClassifier, kBackward)->Arg(32)->Arg(64);

void max_pool(benchmark::State& state, Pool2dSpec spec, Pass pass) {
  spec.n = state.range(0);
  const Data x({spec.n, spec.h, spec.w, spec.c}), y({spec.n, spec.out_h(), spec.out_w(), spec.c});
  const Data argmax(y.tensor.shape(), DType::u8);
  max_pool2d_forward({}, spec, x, y, argmax);
  for (auto _ : state) {
    if (pass == kForward)
      max_pool2d_forward({}, spec, x, y, argmax);
    else
      max_pool2d_backward({}, spec, argmax, y, x);
  }
  report(state, spec.n, 0, static_cast<double>(x.tensor.bytes() + y.tensor.bytes() + argmax.tensor.bytes()));
}

const Pool2dSpec kPoolFirst{.h = 26, .w = 26, .c = 32}, kPoolSecond{.h = 11, .w = 11, .c = 64};
BENCHMARK_CAPTURE(max_pool, first_forward, kPoolFirst, kForward)->Arg(32)->Arg(64);
BENCHMARK_CAPTURE(max_pool, first_backward, kPoolFirst, kBackward)->Arg(32)->Arg(64);
BENCHMARK_CAPTURE(max_pool, second_forward, kPoolSecond, kForward)->Arg(32)->Arg(64);
BENCHMARK_CAPTURE(max_pool, second_backward, kPoolSecond, kBackward)->Arg(32)->Arg(64);

void activation(benchmark::State& state, Activation kind, Pass pass) {
  const Data x({state.range(0), 26, 26, 32}), y(x.tensor.shape());
  for (auto _ : state) {
    if (pass == kForward)
      activation_forward({}, kind, x, y);
    else
      activation_backward({}, kind, x, y, y);
  }
  report(state, state.range(0), 0, static_cast<double>(x.tensor.bytes() * (pass == kForward ? 2 : 3)));
}

BENCHMARK_CAPTURE(activation, relu_forward, Activation::relu, kForward)->Arg(64);
BENCHMARK_CAPTURE(activation, relu_backward, Activation::relu, kBackward)->Arg(64);
BENCHMARK_CAPTURE(activation, sigmoid_forward, Activation::sigmoid, kForward)->Arg(64);
BENCHMARK_CAPTURE(activation, gelu_forward, Activation::gelu, kForward)->Arg(64);
BENCHMARK_CAPTURE(activation, gelu_backward, Activation::gelu, kBackward)->Arg(64);

void bias_gradient(benchmark::State& state) {
  const Data dy({state.range(0), 26, 26, 32}), db({32});
  for (auto _ : state) bias_backward({}, dy, db);
  report(state, state.range(0), 0, static_cast<double>(dy.tensor.bytes()));
}
BENCHMARK(bias_gradient)->Arg(64);

void batch_norm(benchmark::State& state, Pass pass) {
  const Data x({state.range(0), 16, 16, 64}), y(x.tensor.shape()), sums({2, 64}), running({2, 64});
  const Data scale({64}), shift({64}), mean({64}), inverse_std({64}), dscale({64}), dshift({64});
  const MicroBatchInfo info{.valid = static_cast<int32_t>(state.range(0)), .weight = 1};
  for (auto _ : state) {
    if (pass == kForward)
      batch_norm_forward({}, &info, 1e-5f, x, scale, shift, running, y, mean, inverse_std, sums);
    else
      batch_norm_backward({}, &info, x, scale, mean, inverse_std, y, y, dscale, dshift);
  }
  report(state, state.range(0), 0, static_cast<double>(x.tensor.bytes() * (pass == kForward ? 2 : 3)));
}
BENCHMARK_CAPTURE(batch_norm, forward, kForward)->Arg(64);
BENCHMARK_CAPTURE(batch_norm, backward, kBackward)->Arg(64);

void cross_entropy(benchmark::State& state) {
  const Data logits({state.range(0), 10}), dlogits(logits.tensor.shape()), metrics({2});
  const Data labels({state.range(0)}, DType::i32);
  const MicroBatchInfo info{.valid = static_cast<int32_t>(state.range(0)), .weight = 1};
  for (auto _ : state) softmax_cross_entropy({}, &info, 0, logits, labels, dlogits, metrics);
  report(state, state.range(0), 0, 0);
}
BENCHMARK(cross_entropy)->Arg(32)->Arg(64);

void preprocess_images(benchmark::State& state, int64_t channels, bool channels_first) {
  const Data x({state.range(0), 28, 28, channels}, DType::u8), y(x.tensor.shape()), pivot({channels}),
      scale({channels}), shift({channels});
  for (auto _ : state) preprocess({}, {.channels_first = channels_first}, x, pivot, scale, shift, y);
  report(state, state.range(0), 0, static_cast<double>(x.tensor.bytes() + y.tensor.bytes()));
}
BENCHMARK_CAPTURE(preprocess_images, grey, 1, false)->Arg(64);
BENCHMARK_CAPTURE(preprocess_images, color, 3, false)->Arg(64);
BENCHMARK_CAPTURE(preprocess_images, color_channels_first, 3, true)->Arg(64);

void dropout_rows(benchmark::State& state) {
  const Data x({state.range(0), 1600}), y(x.tensor.shape()), index({state.range(0)}, DType::i64);
  const MicroBatchInfo info;
  for (auto _ : state) dropout({}, &info, {.rate = 0.5f}, index, x, y);
  report(state, state.range(0), 0, static_cast<double>(2 * x.tensor.bytes()));
}
BENCHMARK(dropout_rows)->Arg(64);

}  // namespace
}  // namespace lockstep

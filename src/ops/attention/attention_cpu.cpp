#include "src/ops/attention/attention_cpu.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "src/core/rng.h"
#include "src/ops/attention/head_matrices.h"
#include "src/ops/onednn.h"
#include "src/ops/vector_exp.h"
#include "src/tensor/real.h"

namespace lockstep::cpu {

namespace {

/// Rows of the scores that are computed at a time.
constexpr int64_t kBlock = 64;
/// Sums have so many parts, each of which the compiler keeps in a vector register's place.
constexpr int64_t kVectorLanes = 16;

/// One matrix of a product: row-major, its rows `stride` apart.
struct Matrix {
  const float* data;
  int64_t stride;
  bool transposed = false;
};

/// c = factor op(a) op(b) + keep c, where c is (rows, columns), keep 0 or 1.
void multiply(int64_t rows, int64_t columns, int64_t inner, float factor, const Matrix& a, const Matrix& b,
              float keep, float* c, int64_t stride) {
  const dnnl_status_t status = dnnl_sgemm(a.transposed ? 'T' : 'N', b.transposed ? 'T' : 'N', rows, columns,
                                          inner, factor, a.data, a.stride, b.data, b.stride, keep, c, stride);
  if (status != dnnl_success) throw dnnl::error(status, "could not multiply matrices");
}

/// The queries, keys and values of one head of one sample, and what else it is computed from.
struct Head {
  const AttentionSpec& spec;
  int64_t positions, width, stride;  ///< stride: of q, k, v
  const float *q = nullptr, *k = nullptr, *v = nullptr;
  const float* mask;  ///< of the sample; may be null
  float scale;
  uint64_t sample, step;  ///< of the dropout
  int64_t number;         ///< of the head

  template <Real T>
  Head(const AttentionSpec& of, const AttentionInputs& inputs, int64_t n, int64_t h,
       HeadMatrices<T>& matrices)
      : spec(of),
        positions(inputs.qkv.shape()[1]),
        width(inputs.qkv.shape()[2] / (3 * of.heads)),
        stride(matrices.stride(inputs.qkv.shape()[2])),
        mask(matrices.read_mask(inputs.mask ? inputs.mask.data<T>() + n * positions : nullptr)),
        scale(1 / std::sqrt(static_cast<float>(width))),
        sample(of.dropout.rate > 0 ? static_cast<uint64_t>(inputs.sample_index.data<int64_t>()[n]) : 0),
        step(of.dropout.rate > 0 ? static_cast<uint64_t>(inputs.info->step) : 0),
        number(h) {
    const int64_t row = inputs.qkv.shape()[2], channels = row / 3;
    const T* const first = inputs.qkv.data<T>() + n * positions * row + h * width;
    q = matrices.read(first, row);
    k = matrices.read(first + channels, row);
    v = matrices.read(first + 2 * channels, row);
  }

  /// How many keys, from the first, the rows before `end` can read.
  int64_t keys_of(int64_t end) const { return spec.causal ? end : positions; }

  /// scores (rows, keys) of the queries from `first` on.
  void score(int64_t first, int64_t rows, int64_t keys, float* scores) const {
    multiply(rows, keys, width, scale, {q + first * stride, stride}, {k, stride, true}, 0, scores, keys);
  }

  /// Sets to `value` what query `row` does not read of its keys.
  void hide(int64_t row, int64_t keys, float value, float* scores) const {
    if (spec.causal) std::fill(scores + row + 1, scores + keys, value);
    if (mask == nullptr) return;
    for (int64_t j = 0; j < keys; ++j) scores[j] = mask[j] == 0 ? value : scores[j];
  }

  /// What dropout multiplies the probabilities of query `row` by; the room is for a multiple of 64.
  void keep_factors(int64_t row, float* factors) const {
    constexpr int64_t kGroups = 16;  // a fixed number of counters, so that the compiler vectorizes over them
    const float rate = spec.dropout.rate, kept = 1 / (1 - rate);
    const int64_t groups = (positions + 3) / 4;
    const uint64_t key = spec.dropout.seed ^ spec.dropout.layer;
    const uint64_t counter = (step << 32) + static_cast<uint64_t>((number * positions + row) * groups);
    for (int64_t first = 0; first < groups; first += kGroups, factors += 4 * kGroups)
      for (int64_t group = 0; group < kGroups; ++group) {
        const Random4 random = philox(key, sample, counter + static_cast<uint64_t>(first + group));
        for (int64_t i = 0; i < 4; ++i) factors[4 * group + i] = uniform(random.word[i]) < rate ? 0 : kept;
      }
  }
};

/// The largest value; NaN is passed over.
float maximum(const float* values, int64_t count) {
  float lanes[kVectorLanes];
  std::fill_n(lanes, kVectorLanes, -std::numeric_limits<float>::infinity());
  int64_t i = 0;
  for (; i + kVectorLanes <= count; i += kVectorLanes)
    for (int64_t lane = 0; lane < kVectorLanes; ++lane)
      lanes[lane] = values[i + lane] > lanes[lane] ? values[i + lane] : lanes[lane];
  for (int64_t lane = 0; i < count; ++i, ++lane)
    lanes[lane] = values[i] > lanes[lane] ? values[i] : lanes[lane];
  return *std::max_element(lanes, lanes + kVectorLanes);
}

/// values = exp(values - shift); returns their sum.
float exponentiate(float* values, int64_t count, float shift) {
  float lanes[kVectorLanes] = {};
  int64_t i = 0;
  for (; i + kVectorLanes <= count; i += kVectorLanes)
    for (int64_t lane = 0; lane < kVectorLanes; ++lane) {
      values[i + lane] = vector_exp(values[i + lane] - shift);
      lanes[lane] += values[i + lane];
    }
  for (int64_t lane = 0; i < count; ++i, ++lane) {
    values[i] = vector_exp(values[i] - shift);
    lanes[lane] += values[i];
  }
  double sum = 0;
  for (const float part : lanes) sum += part;
  return static_cast<float>(sum);
}

float dot(const float* a, const float* b, int64_t count) {
  float lanes[kVectorLanes] = {};
  int64_t i = 0;
  for (; i + kVectorLanes <= count; i += kVectorLanes)
    for (int64_t lane = 0; lane < kVectorLanes; ++lane) lanes[lane] += a[i + lane] * b[i + lane];
  for (int64_t lane = 0; i < count; ++i, ++lane) lanes[lane] += a[i] * b[i];
  double sum = 0;
  for (const float part : lanes) sum += part;
  return static_cast<float>(sum);
}

void scale_in_place(float* values, int64_t count, float factor) {
  for (int64_t i = 0; i < count; ++i) values[i] *= factor;
}

void multiply_in_place(float* values, const float* factors, int64_t count) {
  for (int64_t i = 0; i < count; ++i) values[i] *= factors[i];
}

/// y (T, width) and log_sums (T) of one head; the rows of y are `stride` apart.
void forward(const Head& head, float* y, int64_t stride, float* log_sums, float* workspace) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  float* const scores = workspace;
  float* const factors = workspace + 2 * kBlock * head.positions;
  for (int64_t first = 0; first < head.positions; first += kBlock) {
    const int64_t end = std::min(head.positions, first + kBlock), rows = end - first,
                  keys = head.keys_of(end);
    head.score(first, rows, keys, scores);
    float sums[kBlock];
    for (int64_t r = 0; r < rows; ++r) {
      float* const row = scores + r * keys;
      head.hide(first + r, keys, -kInfinity, row);
      const float largest = maximum(row, keys);
      // Nothing is read: all exponents stay -infinity, and the sum is 0.
      const float shift = largest == -kInfinity ? 0 : largest;
      sums[r] = exponentiate(row, keys, shift);
      log_sums[first + r] = sums[r] == 0 ? kInfinity : shift + std::log(sums[r]);
      if (head.spec.dropout.rate > 0) {
        head.keep_factors(first + r, factors);
        multiply_in_place(row, factors, keys);
      }
    }
    float* const out = y + first * stride;
    multiply(rows, head.width, keys, 1, {scores, keys}, {head.v, head.stride}, 0, out, stride);
    for (int64_t r = 0; r < rows; ++r)
      scale_in_place(out + r * stride, head.width, sums[r] == 0 ? 0 : 1 / sums[r]);
  }
}

/// The gradients of one head, which lie like q, k and v.
struct HeadGradients {
  float *dq, *dk, *dv;
};

/// y and dy: (T, width), their rows `stride` apart.
void backward(const Head& head, const float* y, const float* dy, int64_t stride, const float* log_sums,
              const HeadGradients& to, float* workspace) {
  float* const probabilities = workspace;
  float* const gradients = workspace + kBlock * head.positions;
  float* const factors = workspace + 2 * kBlock * head.positions;
  // From the last block, whose rows can read all keys: it writes dk and dv, and the others add to them.
  for (int64_t first = (head.positions - 1) / kBlock * kBlock; first >= 0; first -= kBlock) {
    const int64_t end = std::min(head.positions, first + kBlock), rows = end - first,
                  keys = head.keys_of(end);
    const float keep = end == head.positions ? 0 : 1;
    const float* const dy_block = dy + first * stride;
    head.score(first, rows, keys, probabilities);
    multiply(rows, keys, head.width, 1, {dy_block, stride}, {head.v, head.stride, true}, 0, gradients, keys);
    for (int64_t r = 0; r < rows; ++r) {
      float *const p = probabilities + r * keys, *const dp = gradients + r * keys;
      exponentiate(p, keys, log_sums[first + r]);
      head.hide(first + r, keys, 0, p);
      const bool drops = head.spec.dropout.rate > 0;
      if (drops) {
        head.keep_factors(first + r, factors);
        multiply_in_place(dp, factors, keys);
      }
      // The sum of p dp over the row (Dao et al. 2022, appendix B.2).
      const float mean = dot(y + (first + r) * stride, dy_block + r * stride, head.width);
      for (int64_t j = 0; j < keys; ++j) dp[j] = p[j] * (dp[j] - mean) * head.scale;
      if (drops) multiply_in_place(p, factors, keys);
    }
    const int64_t lead = head.stride;
    multiply(rows, head.width, keys, 1, {gradients, keys}, {head.k, lead}, 0, to.dq + first * lead, lead);
    multiply(keys, head.width, rows, 1, {gradients, keys, true}, {head.q + first * lead, lead}, keep, to.dk,
             lead);
    multiply(keys, head.width, rows, 1, {probabilities, keys, true}, {dy_block, stride}, keep, to.dv, lead);
  }
}

/// f(head, its matrices, n, h) for head h of each sample n.
template <Real T, typename F>
void for_each_head(const AttentionSpec& spec, const AttentionInputs& inputs, float* room, const F& f) {
  const int64_t positions = inputs.qkv.shape()[1], width = inputs.qkv.shape()[2] / (3 * spec.heads);
  onednn::guarded("attention", [&] {
    for (int64_t n = 0; n < inputs.qkv.shape()[0]; ++n)
      for (int64_t h = 0; h < spec.heads; ++h) {
        HeadMatrices<T> matrices(positions, width, room);
        const Head head(spec, inputs, n, h, matrices);
        f(head, matrices, n, h);
      }
  });
}

/// Two blocks of scores, and the factors of a row.
int64_t scores_workspace(int64_t positions) { return (2 * kBlock + 1) * positions + 64; }

}  // namespace

int64_t attention_workspace(int64_t positions, int64_t width, DType type) {
  int64_t room = 0;
  with_cpu_real(type, [&]<Real T>(T) { room = HeadMatrices<T>::room(positions, width); });
  return scores_workspace(positions) + room;
}

void attention_forward(const AttentionSpec& spec, const AttentionInputs& inputs, Tensor y, Tensor log_sums,
                       float* workspace) {
  const int64_t positions = y.shape()[1], channels = y.shape()[2];
  with_cpu_real(y.dtype(), [&]<Real T>(T) {
    const auto compute = [&](const Head& head, HeadMatrices<T>& matrices, int64_t n, int64_t h) {
      T* const to = y.data<T>() + n * positions * channels + h * head.width;
      float* const placed = matrices.place(to);
      forward(head, placed, matrices.stride(channels),
              log_sums.data<float>() + (n * spec.heads + h) * positions, workspace);
      matrices.store(placed, to, channels);
    };
    for_each_head<T>(spec, inputs, workspace + scores_workspace(positions), compute);
  });
}

void attention_backward(const AttentionSpec& spec, const AttentionInputs& inputs, ConstTensor y,
                        ConstTensor log_sums, ConstTensor dy, Tensor dqkv, float* workspace) {
  const int64_t positions = y.shape()[1], channels = y.shape()[2];
  with_cpu_real(y.dtype(), [&]<Real T>(T) {
    const auto compute = [&](const Head& head, HeadMatrices<T>& matrices, int64_t n, int64_t h) {
      const int64_t at = n * positions * channels + h * head.width, row = 3 * channels;
      T* const dq = dqkv.data<T>() + n * positions * row + h * head.width;
      T *const dk = dq + channels, *const dv = dk + channels;
      const HeadGradients placed{matrices.place(dq), matrices.place(dk), matrices.place(dv)};
      backward(head, matrices.read(y.data<T>() + at, channels), matrices.read(dy.data<T>() + at, channels),
               matrices.stride(channels), log_sums.data<float>() + (n * spec.heads + h) * positions, placed,
               workspace);
      matrices.store(placed.dq, dq, row);
      matrices.store(placed.dk, dk, row);
      matrices.store(placed.dv, dv, row);
    };
    for_each_head<T>(spec, inputs, workspace + scores_workspace(positions), compute);
  });
}

}  // namespace lockstep::cpu

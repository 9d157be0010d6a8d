#include "src/ops/attention/attention_cpu.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "src/core/rng.h"
#include "src/ops/attention/areas_cpu.h"
#include "src/ops/attention/products_cpu.h"
#include "src/ops/store.h"
#include "src/ops/vector_exp.h"
#include "src/ops/vector_sum.h"
#include "src/tensor/real.h"

namespace lockstep::cpu {

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// The queries, keys and values of one head of one sample, and what else it is computed from.
template <Real T>
struct Head {
  const AttentionSpec& spec;
  int64_t positions, width, stride;  ///< stride: between the rows of q, k and v
  int64_t offset;                    ///< of q in qkv
  const T *q, *k, *v;
  const T* mask;  ///< of the sample; may be null
  float scale;
  uint64_t sample, step;  ///< of the dropout
  int64_t number;         ///< of the head

  Head(const AttentionSpec& of, const AttentionExtents& extents, const AttentionInputs& inputs, int64_t n,
       int64_t h)
      : spec(of),
        positions(extents.positions),
        width(extents.width),
        stride(3 * extents.channels),
        offset(n * positions * stride + h * width),
        q(inputs.qkv.data<T>() + offset),
        k(q + extents.channels),
        v(k + extents.channels),
        mask(inputs.mask ? inputs.mask.data<T>() + n * positions : nullptr),
        scale(1 / std::sqrt(static_cast<float>(extents.width))),
        sample(of.dropout.rate > 0 ? static_cast<uint64_t>(inputs.sample_index.data<int64_t>()[n]) : 0),
        step(of.dropout.rate > 0 ? static_cast<uint64_t>(inputs.info->step) : 0),
        number(h) {}

  /// How many keys, from the first, query `row` can read.
  int64_t read_by(int64_t row) const { return spec.causal ? row + 1 : positions; }

  /// Sets to `value` what the mask hides.
  void hide(int64_t keys, float value, float* scores) const {
    if (mask == nullptr) return;
    for (int64_t j = 0; j < keys; ++j) scores[j] = mask[j] == 0.0f ? value : scores[j];
  }

  /// What dropout multiplies the probabilities of query `row` by, or null without dropout. The room is for a
  /// multiple of 64.
  const float* keep_factors(int64_t row, float* room) const {
    if (spec.dropout.rate == 0) return nullptr;
    constexpr int64_t kGroups = 16;  // a fixed number of counters, so that the compiler vectorizes over them
    const float rate = spec.dropout.rate, kept = 1 / (1 - rate);
    const int64_t groups = (positions + 3) / 4;
    const uint64_t key = spec.dropout.seed ^ spec.dropout.layer;
    const uint64_t counter = (step << 32) + static_cast<uint64_t>((number * positions + row) * groups);
    float* factors = room;
    for (int64_t first = 0; first < groups; first += kGroups, factors += 4 * kGroups)
      for (int64_t group = 0; group < kGroups; ++group) {
        const Random4 random = philox(key, sample, counter + static_cast<uint64_t>(first + group));
        for (int64_t i = 0; i < 4; ++i) factors[4 * group + i] = uniform(random.word[i]) < rate ? 0 : kept;
      }
    return room;
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

/// values = exp(scale values - shift).
void exponentiate(float* values, int64_t count, float scale, float shift) {
  for (int64_t i = 0; i < count; ++i) values[i] = vector_exp(scale * values[i] - shift);
}

/// to = values factor [factors]; both may be the same memory. factors may be null.
template <Real T>
void scale_into(T* to, const float* values, float factor, const float* factors, int64_t count) {
  if (factors == nullptr) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) store(values[i] * factor, to[i]);
  } else {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) store(values[i] * factor * factors[i], to[i]);
  }
}

/// y (T, width), its rows `stride` apart, and log_sums (T) of one head, for a block of queries.
template <Real T>
void forward_block(const Head<T>& head, ForwardProducts& products, const Areas<T>& areas,
                   dnnl::stream& stream, T* y, int64_t stride, float* log_sums) {
  const auto [first, rows, keys] = products.block;
  products.scores.run(stream, head.q + first * head.stride, head.k, areas.scores, areas.scratch);
  for (int64_t row = first; row < first + rows; ++row) {
    const int64_t read = head.read_by(row), at = (row - first) * keys;
    float* const scores = areas.scores + at;
    head.hide(read, -kInfinity, scores);
    const float largest = maximum(scores, read);
    // Nothing is read: all exponents stay -infinity, and the sum is 0.
    const float shift = largest == -kInfinity ? 0 : head.scale * largest;
    exponentiate(scores, read, head.scale, shift);
    const float sum = vector_sum(read, [scores](int64_t j) { return scores[j]; });
    log_sums[row] = sum == 0 ? kInfinity : shift + std::log(sum);
    const float* const factors = head.keep_factors(row, areas.factors);
    scale_into(areas.probabilities + at, scores, sum == 0 ? 0 : 1 / sum, factors, read);
    std::fill(areas.probabilities + at + read, areas.probabilities + at + keys, T(0));
  }
  products.output.run(stream, areas.probabilities, head.v, y + first * stride, areas.scratch);
}

/// The gradients of one head. dq lies like q; dk and dv, sums over the blocks of queries, as the products
/// say.
template <Real T>
struct HeadGradients {
  T* dq;
  float *dk, *dv;
};

/// dq of a block of queries, and what it adds to dk and dv. y and dy: (T, width), their rows `stride` apart.
template <Real T>
void backward_block(const Head<T>& head, BackwardProducts& products, const Areas<T>& areas,
                    dnnl::stream& stream, const T* y, const T* dy, int64_t stride, const float* log_sums,
                    const HeadGradients<T>& to) {
  const auto [first, rows, keys] = products.block;
  const T* const q_block = head.q + first * head.stride;
  const T* const dy_block = dy + first * stride;
  products.scores.run(stream, q_block, head.k, areas.scores, areas.scratch);
  products.dprobabilities.run(stream, dy_block, head.v, areas.gradients, areas.scratch);
  for (int64_t row = first; row < first + rows; ++row) {
    const int64_t read = head.read_by(row), at = (row - first) * keys;
    float *const p = areas.scores + at, *const dp = areas.gradients + at;
    T* const dscores = areas.score_gradients + at;
    exponentiate(p, read, head.scale, log_sums[row]);
    head.hide(read, 0, p);
    const float* const factors = head.keep_factors(row, areas.factors);
    if (factors != nullptr) scale_into(dp, dp, 1, factors, read);
    // The sum of p dp over the row (Dao et al. 2022, appendix B.2).
    const T *const of_y = y + row * stride, *const of_dy = dy + row * stride;
    const float mean = vector_sum(head.width, [=](int64_t i) -> float { return of_y[i] * of_dy[i]; });
#pragma omp simd
    for (int64_t j = 0; j < read; ++j) store(p[j] * (dp[j] - mean) * head.scale, dscores[j]);
    std::fill(dscores + read, dscores + keys, T(0));
    T* const probabilities = areas.probabilities + at;
    if (Areas<T>::kRounds || factors != nullptr) scale_into(probabilities, p, 1, factors, read);
    std::fill(probabilities + read, probabilities + keys, T(0));
  }
  products.dq.run(stream, areas.score_gradients, head.k, to.dq + first * head.stride, areas.scratch);
  products.dk.run(stream, areas.score_gradients, q_block, to.dk, areas.scratch);
  products.dv.run(stream, areas.probabilities, dy_block, to.dv, areas.scratch);
}

/// The products of all blocks of queries, in their order.
template <typename Products>
class BlockProducts {
 public:
  explicit BlockProducts(const AttentionExtents& extents) {
    for (const QueryBlock& block : extents.blocks()) all_.emplace_back(extents, block);
  }
  size_t scratch_bytes() const {
    size_t bytes = 0;
    for (const Products& products : all_) bytes = std::max(bytes, products.scratch_bytes());
    return bytes;
  }
  std::vector<Products>& all() { return all_; }

 private:
  std::vector<Products> all_;
};

/// use(n, h) for head h of each sample n.
template <typename Use>
void for_each_head(const AttentionExtents& extents, const Use& use) {
  for (int64_t n = 0; n < extents.samples; ++n)
    for (int64_t h = 0; h < extents.heads; ++h) use(n, h);
}

void copy_sums(const AttentionExtents& extents, const float* sums, bf16* to) {
  for (int64_t row = 0; row < extents.positions; ++row, sums += extents.width, to += 3 * extents.channels)
    for (int64_t i = 0; i < extents.width; ++i) to[i] = bf16(sums[i]);
}

}  // namespace

size_t attention_workspace(const AttentionSpec& spec, const Shape& qkv, DType type) {
  const AttentionExtents extents(spec, qkv, type);
  size_t bytes = 0;
  onednn::guarded("attention", [&] {
    const size_t scratch = std::max(BlockProducts<ForwardProducts>(extents).scratch_bytes(),
                                    BlockProducts<BackwardProducts>(extents).scratch_bytes());
    with_cpu_real(type, [&]<Real T>(T) { bytes = Areas<T>::bytes(extents, scratch); });
  });
  return bytes;
}

void attention_forward(const AttentionSpec& spec, const AttentionInputs& inputs, Tensor y, Tensor log_sums,
                       void* workspace) {
  const AttentionExtents extents(spec, inputs.qkv.shape(), y.dtype());
  const auto compute = [&]<Real T>(T) {
    BlockProducts<ForwardProducts> products(extents);
    const Areas<T> areas(extents, products.scratch_bytes(), workspace);
    dnnl::stream stream(onednn::engine());
    for_each_head(extents, [&](int64_t n, int64_t h) {
      const Head<T> head(spec, extents, inputs, n, h);
      T* const to = y.data<T>() + n * extents.positions * extents.channels + h * extents.width;
      float* const sums = log_sums.data<float>() + (n * extents.heads + h) * extents.positions;
      for (ForwardProducts& block : products.all())
        forward_block(head, block, areas, stream, to, extents.channels, sums);
    });
  };
  onednn::guarded("attention", [&] { with_cpu_real(y.dtype(), compute); });
}

void attention_backward(const AttentionSpec& spec, const AttentionInputs& inputs, ConstTensor y,
                        ConstTensor log_sums, ConstTensor dy, Tensor dqkv, void* workspace) {
  const AttentionExtents extents(spec, inputs.qkv.shape(), y.dtype());
  const auto compute = [&]<Real T>(T) {
    BlockProducts<BackwardProducts> products(extents);
    const Areas<T> areas(extents, products.scratch_bytes(), workspace);
    dnnl::stream stream(onednn::engine());
    for_each_head(extents, [&](int64_t n, int64_t h) {
      const Head<T> head(spec, extents, inputs, n, h);
      const int64_t at = n * extents.positions * extents.channels + h * extents.width;
      const float* const sums = log_sums.data<float>() + (n * extents.heads + h) * extents.positions;
      T* const dq = dqkv.data<T>() + head.offset;
      T *const dk = dq + extents.channels, *const dv = dk + extents.channels;
      HeadGradients<T> to{dq, areas.dk, areas.dv};
      if constexpr (!Areas<T>::kRounds) to = {dq, dk, dv};
      // From the last block, whose products overwrite dk and dv.
      std::vector<BackwardProducts>& blocks = products.all();
      for (auto block = blocks.rbegin(); block != blocks.rend(); ++block)
        backward_block(head, *block, areas, stream, y.data<T>() + at, dy.data<T>() + at, extents.channels,
                       sums, to);
      if constexpr (Areas<T>::kRounds) {
        copy_sums(extents, to.dk, dk);
        copy_sums(extents, to.dv, dv);
      }
    });
  };
  onednn::guarded("attention", [&] { with_cpu_real(y.dtype(), compute); });
}

}  // namespace lockstep::cpu

#pragma once

// What the kernels for two-byte types share, for .cu files. They multiply on tensor cores.
#include <concepts>
#include <type_traits>

#include "src/device/kernels/tensor_core.h"
#include "src/ops/attention/attention_tiles.h"

namespace lockstep::cuda {

/// Widest head of these kernels.
constexpr int kMaxTensorCoreWidth = 128;
constexpr int kLanes = 32, kWarps = 4, kTensorCoreThreads = kWarps * kLanes;
constexpr float kLog2E = 1.4426950408889634f, kLn2 = 0.6931471805599453f;

template <typename T>
concept TwoBytes = std::same_as<T, bf16> || std::same_as<T, f16>;

/// CUDA's type of the same layout: without a constructor, as shared memory needs it, and with conversions
/// that take an instruction.
template <TwoBytes T>
struct CudaTypeOf;
template <>
struct CudaTypeOf<bf16> {
  using Type = __nv_bfloat16;
  static __device__ Type rounded(float value) { return __float2bfloat16_rn(value); }
};
template <>
struct CudaTypeOf<f16> {
  using Type = __half;
  static __device__ Type rounded(float value) { return __float2half_rn(value); }
};
static_assert(sizeof(__nv_bfloat16) == sizeof(bf16) && sizeof(__half) == sizeof(f16));

template <TwoBytes T>
using CudaType = typename CudaTypeOf<T>::Type;

/// Four or eight numbers of a row, which an instruction reads or writes together.
template <TwoBytes T, int kCount>
union alignas(kCount * 2) Vector {
  std::conditional_t<kCount == 4, uint2, uint4> words;
  CudaType<T> at[kCount];

  __device__ void round(const float (&values)[kCount]) {
    for (int i = 0; i < kCount; ++i) at[i] = CudaTypeOf<T>::rounded(values[i]);
  }
  __device__ void write(CudaType<T>* to) const { reinterpret_cast<Vector*>(to)->words = words; }
};

template <TwoBytes T, typename Layout>
using Left = LeftMatrix<CudaType<T>, Layout>;
template <TwoBytes T, typename Layout>
using Right = RightMatrix<CudaType<T>, Layout>;

__device__ inline void read_four(const float* from, float* to) {
  const float4 four = *reinterpret_cast<const float4*>(from);
  to[0] = four.x, to[1] = four.y, to[2] = four.z, to[3] = four.w;
}

/// Rows of a head, in shared memory. Eight more numbers from row to row keep rows at 16-byte multiples, and
/// eight rows in different banks.
template <TwoBytes T, int kCount, int kColumns>
struct alignas(32) HeadRows {
  using Type = T;
  static constexpr int kRows = kCount, kStride = kColumns + 8;
  CudaType<T> at[kRows][kStride];
  __device__ const CudaType<T>* matrix(int row, int column) const { return &at[row * kSide][column * kSide]; }
};

/// sums = left times the transposed rows, for several bands of 16 rows on the left.
template <typename Matrix, typename Rows, int kBands, int kSteps, int kRowSteps>
__device__ void multiply_transposed(const Matrix (&left)[kBands][kSteps], const Rows& rows,
                                    MatrixSums (&sums)[kBands][kRowSteps]) {
  LOCKSTEP_UNROLL
  for (int step = 0; step < kRowSteps; ++step) {
    LOCKSTEP_UNROLL
    for (int band = 0; band < kBands; ++band) wmma::fill_fragment(sums[band][step], 0.0f);
    LOCKSTEP_UNROLL
    for (int i = 0; i < kSteps; ++i) {
      Right<typename Rows::Type, wmma::col_major> right;
      wmma::load_matrix_sync(right, rows.matrix(step, i), Rows::kStride);
      LOCKSTEP_UNROLL
      for (int band = 0; band < kBands; ++band)
        wmma::mma_sync(sums[band][step], left[band][i], right, sums[band][step]);
    }
  }
}

/// sums += left times rows.
template <typename Matrix, typename Rows, int kBands, int kSteps, int kRowSteps>
__device__ void add_product(const Matrix (&left)[kBands][kRowSteps], const Rows& rows,
                            MatrixSums (&sums)[kBands][kSteps]) {
  LOCKSTEP_UNROLL
  for (int step = 0; step < kRowSteps; ++step) {
    LOCKSTEP_UNROLL
    for (int i = 0; i < kSteps; ++i) {
      Right<typename Rows::Type, wmma::row_major> right;
      wmma::load_matrix_sync(right, rows.matrix(step, i), Rows::kStride);
      LOCKSTEP_UNROLL
      for (int band = 0; band < kBands; ++band)
        wmma::mma_sync(sums[band][i], left[band][step], right, sums[band][i]);
    }
  }
}

/// Shared memory of each warp. (A variable that is an array of these rooms would be initialized at run time
/// where g++ compiles the kernels.)
template <typename Room>
struct PerWarp {
  Room of[kWarps];
};

template <int kSteps>
__device__ void clear(MatrixSums (&sums)[kSteps]) {
  LOCKSTEP_UNROLL
  for (int i = 0; i < kSteps; ++i) wmma::fill_fragment(sums[i], 0.0f);
}

/// Scores, and where they were, numbers that follow from them, rounded. What is in between is other memory to
/// the compiler, so a barrier must lie between the last read and the first write.
template <TwoBytes T, int kRows, int kStride>
union alignas(32) ScoreMatrix {
  float values[kRows * kStride];
  CudaType<T> rounded[2 * kRows * kStride];
};

/// What the kernels for two-byte types compute, and whether all tensors can be accessed 16 bytes at a time.
template <TwoBytes T>
struct TensorCoreProblem : AttentionProblem<T> {
  bool vectors;

  template <typename... Pointers>
  TensorCoreProblem(const AttentionProblem<T>& problem, const Pointers*... pointers)
      : AttentionProblem<T>(problem),
        vectors(problem.width % 8 == 0 && is_vector_aligned(problem.qkv) &&
                (is_vector_aligned(pointers) && ...)) {}
};

/// One head of a sample.
template <TwoBytes T>
struct TensorCoreHead {
  const TensorCoreProblem<T>& problem;
  int64_t number, channels;
  int positions, width;
  const T *q, *k, *v, *mask;
  uint64_t sample = 0, counter = 0;  ///< of the dropout

  __device__ TensorCoreHead(const TensorCoreProblem<T>& p, int64_t head)
      : problem(p),
        number(head),
        channels(p.channels()),
        positions(static_cast<int>(p.positions)),
        width(static_cast<int>(p.width)),
        q(p.qkv + p.offset(head, 0, 3)),
        k(q + channels),
        v(k + channels),
        mask(p.mask == nullptr ? nullptr : p.mask + head / p.heads * p.positions) {
    if (p.rate == 0.0f) return;
    sample = static_cast<uint64_t>(p.sample_index[head / p.heads]);
    counter = (static_cast<uint64_t>(p.info->step) << 32) +
              static_cast<uint64_t>(head % p.heads * p.positions) * groups();
  }

  __device__ uint64_t groups() const { return static_cast<uint64_t>(positions + 3) / 4; }
  /// A query reads no key from this one on.
  __device__ int end_of(int query) const {
    if (query >= positions) return 0;
    return problem.causal ? query + 1 : positions;
  }
  /// None of so many queries from `first` on does.
  __device__ int end_of(int first, int count) const {
    return first < positions ? end_of(min(first + count, positions) - 1) : 0;
  }
  __device__ bool reads(int key, int end) const {
    return key < end && (mask == nullptr || mask[key] != 0.0f);
  }
  /// What dropout multiplies the probabilities of four keys by, the first a multiple of 4.
  __device__ void keep(int query, int key, float (&factors)[4]) const {
    if (problem.rate == 0.0f) {
      for (float& factor : factors) factor = 1.0f;
      return;
    }
    const Random4 random =
        philox(problem.key, sample,
               counter + static_cast<uint64_t>(query) * groups() + static_cast<uint64_t>(key / 4));
    for (int i = 0; i < 4; ++i)
      factors[i] = uniform(random.word[i]) < problem.rate ? 0.0f : 1.0f / (1.0f - problem.rate);
  }

  /// `count` threads read rows from `first` on, `stride` numbers apart, and zero where there are none.
  template <typename Rows>
  __device__ void load(const T* from, int64_t stride, int first, Rows& rows, int thread, int count) const {
    constexpr int kVectors = (Rows::kStride - 8) / 8;
    for (int i = thread; i < Rows::kRows * kVectors; i += count) {
      const int row = i / kVectors, column = i % kVectors * 8;
      const T* const source = from + (first + row) * stride + column;
      Vector<T, 8> eight;
      eight.words = make_uint4(0, 0, 0, 0);
      if (first + row < positions && column < width) {
        if (problem.vectors)
          eight.words = reinterpret_cast<const Vector<T, 8>*>(source)->words;
        else
          load_some(source, width - column, eight.words);
      }
      eight.write(&rows.at[row][column]);
    }
  }

  /// A warp writes rows from `first` on and 16 columns of a head that has its rows `stride` apart at `to`.
  /// Each two lanes have a row, and their factor. room: 16 x 16 numbers of shared memory.
  __device__ void store(const MatrixSums& sums, float factor, int first, int column, T* to, int64_t stride,
                        float* room) const {
    const int lane = static_cast<int>(threadIdx.x) % kLanes, row = lane / 2, half = lane % 2 * 8;
    wmma::store_matrix_sync(room, sums, kSide, wmma::mem_row_major);
    __syncwarp();
    float values[8];
    read_four(room + row * kSide + half, values);
    read_four(room + row * kSide + half + 4, values + 4);
    for (float& value : values) value *= factor;
    Vector<T, 8> eight;
    eight.round(values);
    __syncwarp();  // the next may overwrite it
    column += half;
    if (first + row >= positions || column >= width) return;
    auto* const target = reinterpret_cast<CudaType<T>*>(to + (first + row) * stride + column);
    if (problem.vectors)
      eight.write(target);
    else
      for (int i = 0; i < 8; ++i)
        if (column + i < width) target[i] = eight.at[i];
  }

  /// A warp reads 16 rows from `first` on into matrices, through `rows`.
  template <typename Rows, typename Matrix, int kSteps>
  __device__ void load_through(Rows& rows, const T* from, int64_t stride, int first,
                               Matrix (&to)[kSteps]) const {
    __syncwarp();
    load(from, stride, first, rows, static_cast<int>(threadIdx.x) % kLanes, kLanes);
    __syncwarp();
    LOCKSTEP_UNROLL
    for (int i = 0; i < kSteps; ++i) wmma::load_matrix_sync(to[i], rows.matrix(0, i), Rows::kStride);
  }

 private:
  /// Up to 8 numbers at an address that is not a multiple of 16 bytes.
  static __device__ void load_some(const T* source, int count, uint4& eight) {
    const auto word = [=](int i) {
      const unsigned low = i < count ? source[i].bits : 0u, high = i + 1 < count ? source[i + 1].bits : 0u;
      return low | high << 16;
    };
    eight = make_uint4(word(0), word(2), word(4), word(6));
  }
};

/// The entry points of attention.cu and attention_backward.cu, for heads of up to kMaxTensorCoreWidth.
template <TwoBytes T>
void tensor_core_forward(Exec exec, const AttentionProblem<T>& problem, T* y, float* log_sums);
/// dots: for each row of the scores, the dot product of y and dy.
template <TwoBytes T>
void tensor_core_backward(Exec exec, const AttentionProblem<T>& problem, const T* dy, const float* log_sums,
                          const float* dots, T* dqkv);

}  // namespace lockstep::cuda

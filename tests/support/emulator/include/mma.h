#pragma once

// A stand-in for CUDA's warp matrix functions, for the shapes, types and layouts that Lockstep uses: products
// of 16 x 16 matrices of two-byte numbers, added up in float. As on a GPU, a warp's lanes hold a matrix
// together, and which lane has which element is nothing that a kernel can rely on; here it is scrambled.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <array>
#include <concepts>
#include <cstdint>
#include <type_traits>

#include "tests/support/emulator/device_functions.h"

namespace nvcuda::wmma {

struct matrix_a;
struct matrix_b;
struct accumulator;
struct row_major;
struct col_major;
enum layout_t { mem_row_major, mem_col_major };

}  // namespace nvcuda::wmma

namespace emulator {

inline constexpr unsigned kMatrixSide = 16, kLaneElements = kMatrixSide * kMatrixSide / 32;

/// A lane's elements. The i-th of lane l is element (8 l + i) * factor + offset, modulo 256, of the matrix.
template <typename T, unsigned kFactor, unsigned kOffset>
struct MatrixPart {
  static constexpr int num_elements = kLaneElements;
  using element_type = T;
  T x[kLaneElements];

  /// Of a lane's element, in the matrix: 16 times its row, plus its column.
  static constexpr unsigned index(unsigned lane, unsigned i) {
    return ((lane * kLaneElements + i) * kFactor + kOffset) % (kMatrixSide * kMatrixSide);
  }
  /// The reverse: kLaneElements times the lane, plus the number of its element.
  static constexpr std::array<uint8_t, kMatrixSide* kMatrixSide> places = [] {
    std::array<uint8_t, kMatrixSide * kMatrixSide> result{};
    for (unsigned i = 0; i < result.size(); ++i)
      result[index(i / kLaneElements, i % kLaneElements)] = static_cast<uint8_t>(i);
    return result;
  }();
};

inline unsigned own_lane() {
  return ((threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x) % 32;
}

template <typename T>
void meet_for_matrix(Place place, const T* address, unsigned stride, nvcuda::wmma::layout_t layout) {
  const MatrixAccess access{address, stride, sizeof(T), layout};
  exchange(place, Exchange::matrix, 0xffffffffu, reinterpret_cast<uint64_t>(&access), 0, 32);
}

inline unsigned matrix_offset(unsigned index, unsigned stride, nvcuda::wmma::layout_t layout) {
  const unsigned row = index / kMatrixSide, column = index % kMatrixSide;
  return layout == nvcuda::wmma::mem_row_major ? row * stride + column : column * stride + row;
}

template <typename Part, typename T>
void load_matrix(Place place, Part& part, const T* from, unsigned stride, nvcuda::wmma::layout_t layout) {
  meet_for_matrix(place, from, stride, layout);
  for (unsigned i = 0; i < kLaneElements; ++i)
    part.x[i] = from[matrix_offset(Part::index(own_lane(), i), stride, layout)];
}

}  // namespace emulator

#define EMULATOR_CALLER(name) (::emulator::Place{__builtin_FILE(), __builtin_LINE(), name})

namespace nvcuda::wmma {

template <typename Use, int m, int n, int k, typename T, typename Layout = void>
class fragment;
template <typename T>
concept Factor = std::same_as<T, __half> || std::same_as<T, __nv_bfloat16>;
template <Factor T, typename Layout>
class fragment<matrix_a, 16, 16, 16, T, Layout> : public emulator::MatrixPart<T, 91, 13> {};
template <Factor T, typename Layout>
class fragment<matrix_b, 16, 16, 16, T, Layout> : public emulator::MatrixPart<T, 203, 200> {};
template <>
class fragment<accumulator, 16, 16, 16, float> : public emulator::MatrixPart<float, 149, 77> {};

using FloatAccumulator = fragment<accumulator, 16, 16, 16, float>;

template <typename Use, Factor T, typename Layout>
void load_matrix_sync(fragment<Use, 16, 16, 16, T, Layout>& to, const T* from, unsigned stride,
                      emulator::Place place = EMULATOR_CALLER("load_matrix_sync")) {
  constexpr bool kRows = std::is_same_v<Layout, row_major>;
  static_assert(kRows || std::is_same_v<Layout, col_major>);
  emulator::load_matrix(place, to, from, stride, kRows ? mem_row_major : mem_col_major);
}

inline void load_matrix_sync(FloatAccumulator& to, const float* from, unsigned stride, layout_t layout,
                             emulator::Place place = EMULATOR_CALLER("load_matrix_sync")) {
  emulator::load_matrix(place, to, from, stride, layout);
}

inline void store_matrix_sync(float* to, const FloatAccumulator& from, unsigned stride, layout_t layout,
                              emulator::Place place = EMULATOR_CALLER("store_matrix_sync")) {
  emulator::meet_for_matrix(place, to, stride, layout);
  for (unsigned i = 0; i < emulator::kLaneElements; ++i)
    to[emulator::matrix_offset(FloatAccumulator::index(emulator::own_lane(), i), stride, layout)] = from.x[i];
}

template <typename Fragment>
void fill_fragment(Fragment& fragment, const typename Fragment::element_type& value) {
  for (auto& x : fragment.x) x = value;
}

/// d = a b + c, in which the products are added in float, in the order of the columns of a.
template <Factor T, typename LayoutA, typename LayoutB>
void mma_sync(FloatAccumulator& d, const fragment<matrix_a, 16, 16, 16, T, LayoutA>& a,
              const fragment<matrix_b, 16, 16, 16, T, LayoutB>& b, const FloatAccumulator& c,
              emulator::Place place = EMULATOR_CALLER("mma_sync")) {
  using emulator::kLaneElements, emulator::kMatrixSide;
  using A = emulator::MatrixPart<T, 91, 13>;
  using B = emulator::MatrixPart<T, 203, 200>;
  struct {
    float a[kLaneElements], b[kLaneElements];
  } own;
  for (unsigned i = 0; i < kLaneElements; ++i) {
    own.a[i] = static_cast<float>(a.x[i]);
    own.b[i] = static_cast<float>(b.x[i]);
  }
  const uint64_t gathered = emulator::exchange(place, emulator::Exchange::gather, 0xffffffffu,
                                               reinterpret_cast<uint64_t>(&own), 0, 32);
#if defined(LOCKSTEP_ACCOUNT)
  // Values mean nothing there.
  static_cast<void>(gathered), static_cast<void>(c);
  if (emulator::own_lane() == 0)
    emulator::account::count_matrix_product(kMatrixSide * kMatrixSide * kMatrixSide);
#else
  const auto lane = [&](unsigned place_of) {
    return reinterpret_cast<decltype(&own)>(
        reinterpret_cast<const uint64_t*>(gathered)[place_of / kLaneElements]);
  };
  for (unsigned i = 0; i < kLaneElements; ++i) {
    const unsigned index = FloatAccumulator::index(emulator::own_lane(), i);
    const unsigned row = index / kMatrixSide, column = index % kMatrixSide;
    float sum = c.x[i];
    for (unsigned k = 0; k < kMatrixSide; ++k) {
      const unsigned at_a = A::places[row * kMatrixSide + k], at_b = B::places[k * kMatrixSide + column];
      sum += lane(at_a)->a[at_a % kLaneElements] * lane(at_b)->b[at_b % kLaneElements];
    }
    d.x[i] = sum;
  }
#endif
  // Until here, others read this lane's.
  emulator::exchange(place, emulator::Exchange::sync, 0xffffffffu, 0, 0, 32);
}

}  // namespace nvcuda::wmma

#undef EMULATOR_CALLER

#pragma once

// Products of small matrices on tensor cores, for .cu files: each lane of a warp holds a part of a matrix
// (the CUDA guide's "Warp Matrix Functions"). Which part is not documented, so what needs the row or column
// of a number passes through shared memory.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <mma.h>

// Matrices that a loop numbers stay in registers only if the compiler unrolls the loop.
#if defined(__CUDACC__)
#define LOCKSTEP_UNROLL _Pragma("unroll")
#else
#define LOCKSTEP_UNROLL
#endif

namespace lockstep::cuda {

namespace wmma = nvcuda::wmma;

constexpr int kSide = 16;  ///< of a matrix

using MatrixSums = wmma::fragment<wmma::accumulator, kSide, kSide, kSide, float>;
/// Factors of CUDA's two-byte types: the left or the right one of a product, whose rows or columns lie in
/// memory one after the other.
template <typename Element, typename Layout>
using LeftMatrix = wmma::fragment<wmma::matrix_a, kSide, kSide, kSide, Element, Layout>;
template <typename Element, typename Layout>
using RightMatrix = wmma::fragment<wmma::matrix_b, kSide, kSide, kSide, Element, Layout>;

}  // namespace lockstep::cuda

#pragma once

#include <unordered_map>
#include <vector>

#include "src/ops/attention/attention.h"
#include "src/ops/onednn.h"

namespace lockstep::cpu {

/// A matrix in memory: its rows, or its columns if it is transposed, are `stride` elements apart.
struct MatrixLayout {
  DType type;
  int64_t stride;
  bool transposed = false;
};

/// c = a b, or c += a b, where a is (rows, inner), b (inner, columns), and c, which is not transposed, (rows,
/// columns). Summed in fp32 on one thread, so the bits depend only on the shapes and layouts.
class Product {
 public:
  Product(int64_t rows, int64_t inner, int64_t columns, const MatrixLayout& a, const MatrixLayout& b,
          const MatrixLayout& c, bool adds = false);

  size_t scratch_bytes() const { return scratch_bytes_; }
  /// scratch: scratch_bytes() of memory.
  void run(dnnl::stream& stream, const void* a, const void* b, void* c, void* scratch);

 private:
  dnnl::matmul primitive_;
  dnnl::memory a_, b_, c_, scratch_;
  std::unordered_map<int, dnnl::memory> arguments_;
  size_t scratch_bytes_;
};

/// A block of queries, and how many keys, from the first, its rows can read.
struct QueryBlock {
  static constexpr int64_t kMaxRows = 64;
  int64_t first, rows, keys;
};

/// The extents of attention over qkv (N, T, 3 C).
struct AttentionExtents {
  int64_t samples, positions, channels, heads, width;  ///< width: of a head
  DType type;
  bool causal;

  AttentionExtents(const AttentionSpec& spec, const Shape& qkv, DType type);
  std::vector<QueryBlock> blocks() const;
};

/// What the forward pass multiplies for a block of queries. Scores are (rows, keys), one row behind the
/// other.
struct ForwardProducts {
  QueryBlock block;
  Product scores;  ///< float = q k^T
  Product output;  ///< y = probabilities v

  ForwardProducts(const AttentionExtents& extents, const QueryBlock& of);
  size_t scratch_bytes() const;
};

/// The same for backward. The gradients of keys and values are sums over the blocks, in float: the last
/// block, whose rows can read all keys, overwrites them, and the others add to them.
struct BackwardProducts {
  QueryBlock block;
  Product scores;          ///< float = q k^T
  Product dprobabilities;  ///< float = dy v^T
  Product dq;              ///< = dscores k
  Product dk, dv;          ///< float += dscores^T q, += probabilities^T dy

  BackwardProducts(const AttentionExtents& extents, const QueryBlock& of);
  size_t scratch_bytes() const;
};

/// How far apart the rows of the sums dk and dv are: where those are added up that are not of float.
int64_t sums_stride(const AttentionExtents& extents);

}  // namespace lockstep::cpu

#include "src/ops/input/embedding.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/cuda_ops.h"
#include "src/tensor/real.h"

namespace lockstep {

namespace cpu {
namespace {

/// Row numbers sorted by id, in ascending order for each id (a counting sort): those of id v are
/// rows[first[v]] to rows[first[v + 1] - 1].
struct RowsById {
  RowsById(const int32_t* ids, int64_t count, int64_t entries)
      : first(static_cast<size_t>(entries) + 1), rows(static_cast<size_t>(count)) {
    for (int64_t row = 0; row < count; ++row) ++first[static_cast<size_t>(ids[row]) + 1];
    std::partial_sum(first.begin(), first.end(), first.begin());
    std::vector<int64_t> next(first.begin(), first.end() - 1);
    for (int64_t row = 0; row < count; ++row)
      rows[static_cast<size_t>(next[static_cast<size_t>(ids[row])]++)] = row;
  }

  std::vector<int64_t> first, rows;
};

template <Real T>
void embedding_backward(const int32_t* ids, const T* dy, int64_t rows, int64_t entries, int64_t width,
                        float* dweight) {
  const RowsById by_id(ids, rows, entries);
  std::vector<double> sum(static_cast<size_t>(width));
  for (int64_t v = 0; v < entries; ++v, dweight += width) {
    std::ranges::fill(sum, 0.0);
    for (int64_t i = by_id.first[static_cast<size_t>(v)]; i < by_id.first[static_cast<size_t>(v) + 1]; ++i) {
      const T* const row = dy + by_id.rows[static_cast<size_t>(i)] * width;
      for (int64_t c = 0; c < width; ++c) sum[static_cast<size_t>(c)] += row[c];
    }
    std::ranges::copy(sum, dweight);
  }
}

}  // namespace
}  // namespace cpu

void embedding_forward(Exec exec, ConstTensor ids, ConstTensor weight, Tensor y) {
  const int64_t rows = ids.shape()[0], width = weight.shape()[-1];
  expect(ids, DType::i32, {rows}, "embedding: ids");
  expect_real(y, {rows, width}, "embedding: y");
  expect(weight, y.dtype(), {weight.shape()[0], width}, "embedding: weight");
  if (is_empty(y)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::embedding_forward(exec, ids, weight, y);
  }
  const auto* id = ids.data<int32_t>();
  const size_t bytes = static_cast<size_t>(width) * size_of(y.dtype());
  const auto* table = static_cast<const char*>(weight.raw());
  auto* out = static_cast<char*>(y.raw());
  for (int64_t row = 0; row < rows; ++row, out += bytes)
    std::memcpy(out, table + static_cast<size_t>(id[row]) * bytes, bytes);
}

size_t embedding_workspace_bytes(Exec exec, int64_t rows) {
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::embedding_workspace_bytes(rows);
  }
  return 0;
}

void embedding_backward(Exec exec, ConstTensor ids, ConstTensor dy, Tensor dweight, Tensor workspace) {
  const int64_t rows = ids.shape()[0], entries = dweight.shape()[0], width = dweight.shape()[-1];
  expect(ids, DType::i32, {rows}, "embedding: ids");
  expect_real(dy, {rows, width}, "embedding: dy");
  expect(dweight, DType::f32, {entries, width}, "embedding: dweight");
  expect_workspace(workspace, embedding_workspace_bytes(exec, rows), "embedding");
  if (is_empty(dweight)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::embedding_backward(exec, ids, dy, dweight, workspace);
  }
  with_cpu_real(dy.dtype(), [&]<Real T>(T) {
    cpu::embedding_backward(ids.data<int32_t>(), dy.data<T>(), rows, entries, width, dweight.data<float>());
  });
}

}  // namespace lockstep

#include "src/ops/attention/products_cpu.h"

#include <algorithm>

namespace lockstep::cpu {

namespace {

dnnl::memory::desc describe_matrix(int64_t rows, int64_t columns, const MatrixLayout& layout) {
  const dnnl::memory::dims strides =
      layout.transposed ? dnnl::memory::dims{1, layout.stride} : dnnl::memory::dims{layout.stride, 1};
  return {{rows, columns}, onednn::type_of(layout.type), strides};
}

MatrixLayout transpose_of(MatrixLayout layout) {
  layout.transposed = !layout.transposed;
  return layout;
}

/// Of queries, keys, values, and their gradients.
MatrixLayout in_qkv(const AttentionExtents& extents) { return {extents.type, 3 * extents.channels}; }
/// Of the output and its gradient.
MatrixLayout in_y(const AttentionExtents& extents) { return {extents.type, extents.channels}; }

}  // namespace

Product::Product(int64_t rows, int64_t inner, int64_t columns, const MatrixLayout& a, const MatrixLayout& b,
                 const MatrixLayout& c, bool adds) {
  dnnl::primitive_attr attributes = onednn::user_scratchpad();
  if (adds) {
    dnnl::post_ops operations;
    operations.append_sum(1.0f);
    attributes.set_post_ops(operations);
  }
  const dnnl::memory::desc a_desc = describe_matrix(rows, inner, a),
                           b_desc = describe_matrix(inner, columns, b),
                           c_desc = describe_matrix(rows, columns, c);
  const auto desc = onednn::describe_with<dnnl::matmul>(attributes, a_desc, b_desc, c_desc);
  primitive_ = dnnl::matmul(desc);
  a_ = onednn::unbound(a_desc);
  b_ = onednn::unbound(b_desc);
  c_ = onednn::unbound(c_desc);
  scratch_ = onednn::unbound(desc.scratchpad_desc());
  arguments_ = {
      {DNNL_ARG_SRC, a_}, {DNNL_ARG_WEIGHTS, b_}, {DNNL_ARG_DST, c_}, {DNNL_ARG_SCRATCHPAD, scratch_}};
  scratch_bytes_ = desc.scratchpad_desc().get_size();
}

void Product::run(dnnl::stream& stream, const void* a, const void* b, void* c, void* scratch) {
  onednn::bind(a_, a);
  onednn::bind(b_, b);
  onednn::bind(c_, c);
  onednn::bind(scratch_, scratch);
  primitive_.execute(stream, arguments_);
  stream.wait();
}

AttentionExtents::AttentionExtents(const AttentionSpec& spec, const Shape& qkv, DType of)
    : samples(qkv[0]),
      positions(qkv[1]),
      channels(qkv[2] / 3),
      heads(spec.heads),
      width(channels / spec.heads),
      type(of),
      causal(spec.causal) {}

std::vector<QueryBlock> AttentionExtents::blocks() const {
  std::vector<QueryBlock> all;
  for (int64_t first = 0; first < positions; first += QueryBlock::kMaxRows) {
    const int64_t end = std::min(positions, first + QueryBlock::kMaxRows);
    all.push_back({first, end - first, causal ? end : positions});
  }
  return all;
}

int64_t sums_stride(const AttentionExtents& extents) {
  return extents.type == DType::f32 ? 3 * extents.channels : extents.width;
}

ForwardProducts::ForwardProducts(const AttentionExtents& extents, const QueryBlock& of)
    : block(of),
      scores(of.rows, extents.width, of.keys, in_qkv(extents), transpose_of(in_qkv(extents)),
             {DType::f32, of.keys}),
      output(of.rows, of.keys, extents.width, {extents.type, of.keys}, in_qkv(extents), in_y(extents)) {}

size_t ForwardProducts::scratch_bytes() const {
  return std::max(scores.scratch_bytes(), output.scratch_bytes());
}

BackwardProducts::BackwardProducts(const AttentionExtents& extents, const QueryBlock& of)
    : block(of),
      scores(of.rows, extents.width, of.keys, in_qkv(extents), transpose_of(in_qkv(extents)),
             {DType::f32, of.keys}),
      dprobabilities(of.rows, extents.width, of.keys, in_y(extents), transpose_of(in_qkv(extents)),
                     {DType::f32, of.keys}),
      dq(of.rows, of.keys, extents.width, {extents.type, of.keys}, in_qkv(extents), in_qkv(extents)),
      dk(of.keys, of.rows, extents.width, {extents.type, of.keys, true}, in_qkv(extents),
         {DType::f32, sums_stride(extents)}, of.first + of.rows < extents.positions),
      dv(of.keys, of.rows, extents.width, {extents.type, of.keys, true}, in_y(extents),
         {DType::f32, sums_stride(extents)}, of.first + of.rows < extents.positions) {}

size_t BackwardProducts::scratch_bytes() const {
  return std::max({scores.scratch_bytes(), dprobabilities.scratch_bytes(), dq.scratch_bytes(),
                   dk.scratch_bytes(), dv.scratch_bytes()});
}

}  // namespace lockstep::cpu

#include "src/ops/conv/conv2d.h"

#include "src/device/buffer.h"
#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/conv/conv2d_cpu.h"
#include "src/ops/conv/conv2d_cuda.h"

namespace lockstep {

namespace {

Shape input_shape(const Conv2dSpec& spec) { return {spec.n, spec.h, spec.w, spec.c}; }
Shape weights_shape(const Conv2dSpec& spec) { return {spec.k, spec.r, spec.s, spec.c / spec.groups}; }
Shape output_shape(const Conv2dSpec& spec) { return {spec.n, spec.out_h(), spec.out_w(), spec.k}; }

void check_spec(const Conv2dSpec& spec) {
  INVARIANT(spec.groups > 0 && spec.c % spec.groups == 0 && spec.k % spec.groups == 0,
            "conv2d: {} groups do not divide {} input and {} output channels", spec.groups, spec.c, spec.k);
  INVARIANT(spec.out_h() > 0 && spec.out_w() > 0,
            "conv2d: a {} x {} filter is larger than its padded {} x {} input", spec.r, spec.s, spec.h,
            spec.w);
}

}  // namespace

Conv2d::Conv2d(Exec exec, const Conv2dSpec& spec) : exec_(exec), spec_(spec) {
  check_spec(spec);
  if constexpr (kCuda) {
    if (exec.on_cuda()) {
      cuda_ = std::make_shared<Cuda>(exec, spec);
      return;
    }
  }
  cpu_ = onednn::guarded("conv2d", [&] { return std::make_unique<Cpu>(spec); });
}

Conv2d::~Conv2d() = default;
Conv2d::Conv2d(Conv2d&&) noexcept = default;

size_t Conv2d::workspace_bytes() const {
  if constexpr (kCuda) {
    if (cuda_) return cuda_->workspace_bytes();
  }
  return cpu_->workspace_bytes();
}

void Conv2d::forward(ConstTensor x, ConstTensor w, ConstTensor b, Tensor y, Tensor workspace) {
  expect(x, DType::f32, input_shape(spec_), "conv2d: x");
  expect(w, DType::f32, weights_shape(spec_), "conv2d: w");
  expect(y, DType::f32, output_shape(spec_), "conv2d: y");
  if (spec_.bias) expect(b, DType::f32, {spec_.k}, "conv2d: b");
  expect_workspace(workspace, workspace_bytes(), "conv2d");
  if (spec_.n == 0) return;
  if constexpr (kCuda) {
    if (cuda_) return cuda_->forward(x, w, b, y, workspace);
  }
  onednn::guarded("conv2d", [&] { cpu_->forward(x, w, b, y, workspace); });
}

void Conv2d::backward(ConstTensor x, ConstTensor w, ConstTensor dy, Tensor dx, Tensor dw, Tensor db,
                      Tensor workspace) {
  expect(x, DType::f32, input_shape(spec_), "conv2d: x");
  expect(w, DType::f32, weights_shape(spec_), "conv2d: w");
  expect(dy, DType::f32, output_shape(spec_), "conv2d: dy");
  if (dw) expect(dw, DType::f32, weights_shape(spec_), "conv2d: dw");
  if (dx) expect(dx, DType::f32, input_shape(spec_), "conv2d: dx");
  if (db) expect(db, DType::f32, {spec_.k}, "conv2d: db");
  INVARIANT(spec_.needs_dx || !dx, "conv2d: dx was declared unneeded");
  INVARIANT((spec_.bias && dw) == static_cast<bool>(db), "conv2d: db belongs to dw and a bias");
  expect_workspace(workspace, workspace_bytes(), "conv2d");
  if (spec_.n == 0) {
    if (dw) fill_zero(exec_, dw.raw(), dw.bytes());
    if (db) fill_zero(exec_, db.raw(), db.bytes());
    return;
  }
  if constexpr (kCuda) {
    if (cuda_) return cuda_->backward(x, w, dy, dx, dw, db, workspace);
  }
  onednn::guarded("conv2d", [&] { cpu_->backward(x, w, dy, dx, dw, db, workspace); });
}

}  // namespace lockstep

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/core/log.h"
#include "src/device/buffer.h"
#include "src/device/compatibility.h"
#include "src/device/cuda_context.h"
#include "src/device/kernels/launch.h"
#include "src/ops/conv/conv_cuda.h"
#include "src/ops/conv/conv_kernels.h"
#include "src/ops/conv/conv_legacy.h"
#include "src/ops/cuda_ops.h"
#include "src/ops/norm/batch_norm_cuda.h"
#include "src/tensor/narrow.h"

namespace lockstep {

namespace {

using Direction = CudnnConvolution::Direction;

/// cuDNN's extents: of the batch (or the filters), the channels, then along the axes.
std::vector<int64_t> cudnn_order(const Shape& channels_last) {
  std::vector<int64_t> extents(channels_last.extents().begin(), channels_last.extents().end());
  std::rotate(extents.begin() + 1, extents.end() - 1, extents.end());
  return extents;
}

CudnnConvolution as_cudnn_convolution(const ConvSpec& spec, Direction direction) {
  CudnnConvolution convolution{.direction = direction,
                               .type = cuda::cudnn_type(spec.type),
                               .tf32 = spec.tf32,
                               .data = cudnn_order(spec.data()),
                               .filters = cudnn_order(spec.weights()),
                               .result = cudnn_order(spec.result()),
                               .pad_before = {},
                               .pad_after = {},
                               .stride = {},
                               .dilation = {}};
  for (const ConvAxis& axis : spec.axes) {
    convolution.pad_before.push_back(axis.pad_before);
    convolution.pad_after.push_back(axis.pad_after);
    convolution.stride.push_back(axis.stride);
    convolution.dilation.push_back(axis.dilation);
  }
  return convolution;
}

/// Says what computes a direction for which cuDNN has no engine.
void warn_of_fallback(const ConvSpec& spec, Direction direction, const std::string& fallback) {
  constexpr const char* kNames[] = {"forward", "the data gradient", "the weight gradient"};
  log_warning(
      "cuDNN {} has no deterministic engine for {} of a convolution of {} filters with weights {} over {} "
      "in {} groups: {} instead",
      dotted_version(static_cast<int64_t>(cudnnGetVersion())), kNames[static_cast<size_t>(direction)],
      spec.filters, to_string(spec.weights()), to_string(spec.data()), spec.groups, fallback);
}

}  // namespace

/// Which implementation computes each direction.
struct Conv::Cuda::Impl {
  Impl(Exec on, const ConvSpec& shape);

  /// How one direction is computed: by an engine of cuDNN, else by its older calls, else by our direct
  /// kernels.
  struct Way {
    const CudnnPlan* engine = nullptr;
    bool legacy = false;
    bool adds = false;  ///< the engine does, to what is there
  };
  Way plan(Direction direction);
  /// After plan(forward).
  const CudnnPlan* plan_sums() const;
  /// Enqueues the convolution with sums on an engine.
  void run_with_sums(const CudnnPlan& engine, const void* data, const void* filters, const void* result,
                     float* sums, void* memory) const;
  const Way& way(Direction direction) const { return ways[static_cast<size_t>(direction)]; }

  void run(const CudnnPlan& engine, const void* data, const void* filters, const void* result,
           Tensor workspace) const {
    run_engine(engine, data, filters, result, library_workspace(workspace));
  }
  void run_engine(const CudnnPlan& engine, const void* data, const void* filters, const void* result,
                  void* memory) const {
    engine.run(exec.cuda->cudnn(),
               {{CudnnConvolution::kData, data},
                {CudnnConvolution::kFilters, filters},
                {CudnnConvolution::kResult, result}},
               memory);
  }
  void* library_workspace(Tensor workspace) const {
    return static_cast<std::byte*>(workspace.raw()) + narrow_bytes;
  }

  Exec exec;
  ConvSpec spec;
  bool depthwise;  ///< our own kernels, in all directions
  std::array<Way, 3> ways;
  const CudnnPlan* summing = nullptr;  ///< forward, with sums; null: without
  std::optional<cuda::LegacyConv> legacy;
  /// At the start of the workspace, for a gradient of the filters of two bytes, which is widened afterwards.
  /// It is summed in float, but all engines of cuDNN 9.19 and 9.26 that write it as float are compiled at run
  /// time, which takes seconds for each layer.
  size_t narrow_bytes = 0;
  size_t library_bytes = 0;
};

Conv::Cuda::Impl::Impl(Exec on, const ConvSpec& shape)
    : exec(on), spec(shape), depthwise(cuda::is_depthwise(shape)) {
  if (spec.samples == 0 || depthwise || !cuda::LegacyConv::can_describe(spec)) return;
  for (const Direction direction : {Direction::forward, Direction::filter_gradient, Direction::data_gradient})
    if (direction != Direction::data_gradient || spec.needs_dx || spec.transposed)
      ways[static_cast<size_t>(direction)] = plan(direction);
  summing = plan_sums();
  if (summing != nullptr) library_bytes = summing->workspace_bytes();
  for (const Way& way : ways)
    if (way.engine != nullptr) library_bytes = std::max(library_bytes, way.engine->workspace_bytes());
  if (legacy) library_bytes = std::max(library_bytes, legacy->workspace_bytes());
  const Way& filter = way(Direction::filter_gradient);
  if ((filter.engine != nullptr || filter.legacy) && spec.type != DType::f32)
    narrow_bytes = cuda::aligned_bytes(spec.weights().elements(), spec.type);
}

Conv::Cuda::Impl::Way Conv::Cuda::Impl::plan(Direction direction) {
  Way way;
  CudnnConvolution convolution = as_cudnn_convolution(spec, direction);
  const auto find = [&](bool adds) {
    convolution.adds = way.adds = adds;
    way.engine = exec.cuda->plans().find(exec.cuda->cudnn(), convolution);
    return way.engine != nullptr;
  };
  if (direction == Direction::data_gradient && spec.adds_to_dx && !spec.transposed && find(true)) return way;
  if (find(false)) return way;
  if (!legacy) legacy.emplace(exec, spec);
  way.legacy = legacy->plan(direction);
  warn_of_fallback(spec, direction, way.legacy ? "its older calls are used" : "a slower kernel is used");
  return way;
}

const CudnnPlan* Conv::Cuda::Impl::plan_sums() const {
  const CudnnPlan* const plain = way(Direction::forward).engine;
  CudnnPlans& plans = exec.cuda->plans();
  if (!spec.sums || spec.type == DType::f32 || plain == nullptr || !plans.is_choosing()) return nullptr;
  const int64_t channels = spec.filters;
  if (channels % 4 != 0) return nullptr;  // the squares, behind the sums, start at a multiple of 16 bytes
  const MicroBatchInfo all{.valid = static_cast<int32_t>(spec.samples), .weight = 1};
  const Buffer info(exec, Memory::device, sizeof all);
  copy(exec, info.data(), &all, sizeof all);
  synchronize(exec);
  // The sums are worth what a batch norm of the result saves.
  const auto run = [&](const CudnnPlan* engine, const CudnnPlans::Summed::Memory& m) {
    if (engine != nullptr)
      run_with_sums(*engine, m.data, m.filters, m.result, static_cast<float*>(m.sums), m.workspace);
    else
      run_engine(*plain, m.data, m.filters, m.result, m.workspace);
    float* const other = static_cast<float*>(m.other);
    const auto part = [&](int64_t start, const Shape& shape) {
      return Tensor(other + start * channels, DType::f32, shape);
    };
    cuda::batch_norm_statistics(
        exec, reinterpret_cast<const MicroBatchInfo*>(info.data()), /*epsilon=*/1,
        ConstTensor(m.result, spec.type, spec.result()), part(0, {2, channels}), part(2, {channels}),
        part(3, {channels}), part(4, {2, channels}),
        engine == nullptr ? ConstTensor{} : ConstTensor(m.sums, DType::f32, {2, channels}));
  };
  return plans.find_with_sums(exec.cuda->cudnn(),
                              {.convolution = as_cudnn_convolution(spec, Direction::forward),
                               .workspace_bytes = plain->workspace_bytes(),
                               .other_bytes = static_cast<size_t>(6 * channels) * sizeof(float),
                               .run = run});
}

void Conv::Cuda::Impl::run_with_sums(const CudnnPlan& engine, const void* data, const void* filters,
                                     const void* result, float* sums, void* memory) const {
  engine.run(exec.cuda->cudnn(),
             {{CudnnConvolution::kData, data},
              {CudnnConvolution::kFilters, filters},
              {CudnnConvolution::kResult, result},
              {CudnnSums::kSums, sums},
              {CudnnSums::kSquares, sums + spec.filters}},
             memory);
}

Conv::Cuda::Cuda(Exec exec, const ConvSpec& spec) : impl_(std::make_unique<Impl>(exec, spec)) {}

Conv::Cuda::~Cuda() = default;

size_t Conv::Cuda::workspace_bytes() const { return impl_->narrow_bytes + impl_->library_bytes; }

bool Conv::Cuda::adds_to_data() const { return impl_->way(Direction::data_gradient).adds; }

bool Conv::Cuda::gives_sums() const { return impl_->summing != nullptr; }

void Conv::Cuda::convolve_with_sums(ConstTensor data, ConstTensor w, Tensor result, Tensor sums,
                                    Tensor workspace) {
  const Impl& p = *impl_;
  p.run_with_sums(*p.summing, data.raw(), w.raw(), result.raw(), sums.data<float>(),
                  p.library_workspace(workspace));
}

void Conv::Cuda::convolve(ConstTensor data, ConstTensor w, ConstTensor b, Tensor result, Tensor workspace) {
  const Impl& p = *impl_;
  const Impl::Way& way = p.way(Direction::forward);
  if (p.depthwise)
    cuda::depthwise_conv_forward(p.exec, p.spec, data, w, result);
  else if (way.engine != nullptr)
    p.run(*way.engine, data.raw(), w.raw(), result.raw(), workspace);
  else if (way.legacy)
    p.legacy->convolve(data, w, result, p.library_workspace(workspace));
  else
    cuda::direct_conv_forward(p.exec, p.spec, data, w, result);
  if (p.spec.relu || b) cuda::bias_forward(p.exec, result, b, result, p.spec.relu);
}

void Conv::Cuda::data_gradient(ConstTensor w, ConstTensor dresult, Tensor ddata, Tensor workspace) {
  const Impl& p = *impl_;
  const Impl::Way& way = p.way(Direction::data_gradient);
  if (p.depthwise) return cuda::depthwise_conv_data_gradient(p.exec, p.spec, w, dresult, ddata);
  if (way.engine != nullptr) return p.run(*way.engine, ddata.raw(), w.raw(), dresult.raw(), workspace);
  if (way.legacy) return p.legacy->data_gradient(w, dresult, ddata, p.library_workspace(workspace));
  cuda::direct_conv_data_gradient(p.exec, p.spec, w, dresult, ddata);
}

void Conv::Cuda::filter_gradient(ConstTensor data, ConstTensor dresult, Tensor dw, Tensor db,
                                 Tensor workspace) {
  const Impl& p = *impl_;
  const Impl::Way& way = p.way(Direction::filter_gradient);
  INVARIANT(!db, "conv: the gradient of the bias is not computed here");
  if (p.depthwise) return cuda::depthwise_conv_filter_gradient(p.exec, p.spec, data, dresult, dw);
  void* const gradient = p.narrow_bytes == 0 ? dw.raw() : workspace.raw();
  if (way.engine != nullptr)
    p.run(*way.engine, data.raw(), gradient, dresult.raw(), workspace);
  else if (way.legacy)
    p.legacy->filter_gradient(data, dresult, gradient, p.library_workspace(workspace));
  else
    return cuda::direct_conv_filter_gradient(p.exec, p.spec, data, dresult, dw);
  if (p.narrow_bytes > 0)
    cuda::widen(compute_stream(p.exec), p.spec.type, static_cast<const uint16_t*>(gradient), dw.data<float>(),
                dw.elements());
}

}  // namespace lockstep

#include "tests/support/emulator/cudnn_convolution.h"

#include <iterator>
#include <vector>

#include "tests/support/emulator/account/account.h"

namespace emulator::cudnn {

namespace {

/// Calls visit(coordinates) for each position within the extents, the last axis fastest.
template <typename Visit>
void for_each_position(const Numbers& extents, Visit visit) {
  Numbers at;
  for (at[0] = 0; at[0] < extents[0]; ++at[0])
    for (at[1] = 0; at[1] < extents[1]; ++at[1])
      for (at[2] = 0; at[2] < extents[2]; ++at[2]) visit(at);
}

/// Calls tap(x, w, y) with the offsets of each product's factors, for the first channel of its group.
template <typename Tap>
void for_each_tap(const Problem& p, Tap tap) {
  const Convolution& conv = p.convolution;
  const Strides x = p.x.strides(), w = p.w.strides(), y = p.y.strides();
  const int64_t filters_a_group = p.w.n / conv.groups;
  for (int64_t n = 0; n < p.y.n; ++n)
    for_each_position(p.y.extents, [&](const Numbers& out) {
      for_each_position(p.w.extents, [&](const Numbers& element) {
        int64_t x_at = n * x.n, w_at = 0, y_at = n * y.n;
        for (size_t axis = 0; axis < kMaxAxes; ++axis) {
          const int64_t in =
              out[axis] * conv.stride[axis] - conv.padding[axis] + element[axis] * conv.dilation[axis];
          if (in < 0 || in >= p.x.extents[axis]) return;
          x_at += in * x.axis[axis];
          w_at += element[axis] * w.axis[axis];
          y_at += out[axis] * y.axis[axis];
        }
        for (int64_t k = 0; k < p.w.n; ++k)
          tap(x_at + k / filters_a_group * p.w.c * x.c, w_at + k * w.n, y_at + k * y.c);
      });
    });
}

/// The elements of a factor.
std::vector<float> loaded(const Problem& p, const Tensor& tensor, const void* data) {
  std::vector<float> values(static_cast<size_t>(tensor.elements()));
  for (size_t i = 0; i < values.size(); ++i) {
    const float value = load(tensor.element_type(), data, i);
    values[i] = p.rounds_to_tf32() ? as_tf32(value) : value;
  }
  return values;
}

/// As if each operand were read once and the result written once.
void count(Direction direction, const Problem& p, const Arguments& arguments, const Tensor& result) {
  constexpr const char* kNames[] = {"convolution forward", "convolution data gradient",
                                    "convolution filter gradient"};
  const auto products = static_cast<uint64_t>(p.y.elements() * p.w.c * p.w.positions());
  const size_t operands = p.x.bytes() + p.w.bytes() + p.y.bytes() - result.bytes();
  account::count_call(kNames[static_cast<size_t>(direction)],
                      arithmetic_of(p.x.element_type(), p.convolution.math != CUDNN_FMA_MATH), 2 * products,
                      operands + (arguments.beta == 0 ? 0 : result.bytes()), result.bytes());
  if (arguments.beta == 0) account::clear(arguments.result, result.bytes());
}

}  // namespace

void run(Direction direction, const Problem& p, const Arguments& arguments, size_t scratch_bytes,
         bool steady) {
  const Tensor& result = direction == Direction::forward ? p.y : direction == Direction::data ? p.x : p.w;
  if (account::kEnabled) return count(direction, p, arguments, result);
  scribble(arguments.workspace, scratch_bytes);
  std::vector<double> sums(static_cast<size_t>(result.elements()));
  double* sum = sums.data();
  const auto factor_of = [&](const Tensor& tensor, const void* data) {
    return &tensor == &result ? std::vector<float>() : loaded(p, tensor, data);
  };
  const std::vector<float> x_values = factor_of(p.x, arguments.x), w_values = factor_of(p.w, arguments.w),
                           y_values = factor_of(p.y, arguments.y);
  const float *x_data = x_values.data(), *w_data = w_values.data(), *y_data = y_values.data();
  const int64_t channels = p.w.c, x_stride = p.x.strides().c, w_stride = p.w.strides().c;
  switch (direction) {
    case Direction::forward:
      for_each_tap(p, [=](int64_t x, int64_t w, int64_t y) {
        double dot = 0;
        for (int64_t c = 0; c < channels; ++c)
          dot += double{x_data[x + c * x_stride]} * w_data[w + c * w_stride];
        sum[y] += dot;
      });
      break;
    case Direction::data:
      for_each_tap(p, [=](int64_t x, int64_t w, int64_t y) {
        const double factor = y_data[y];
        for (int64_t c = 0; c < channels; ++c) sum[x + c * x_stride] += factor * w_data[w + c * w_stride];
      });
      break;
    case Direction::filter:
      for_each_tap(p, [=](int64_t x, int64_t w, int64_t y) {
        const double factor = y_data[y];
        for (int64_t c = 0; c < channels; ++c) sum[w + c * w_stride] += factor * x_data[x + c * x_stride];
      });
      break;
  }
  for (size_t i = 0; i < sums.size(); ++i) {
    const auto value = static_cast<float>(steady ? sums[i] : unsteady(sums[i]));
    // With beta 0 the result is not read: it may be NaN.
    const cudaDataType_t type = result.element_type();
    const float before = arguments.beta == 0 ? 0 : arguments.beta * load(type, arguments.result, i);
    store(type, arguments.result, i, arguments.alpha * value + before);
  }
}

cudnnStatus_t start(cudaStream_t stream, Direction direction, const Problem& problem,
                    const Arguments& arguments, size_t scratch_bytes, bool steady) {
  // The real library would take the null stream, which does not wait for other streams and which the emulated
  // runtime does not have.
  if (stream == nullptr) return CUDNN_STATUS_BAD_PARAM_STREAM_MISMATCH;
  const Range ranges[] = {{arguments.x, problem.x.bytes()},
                          {arguments.w, problem.w.bytes()},
                          {arguments.y, problem.y.bytes()},
                          {arguments.workspace, scratch_bytes}};
  if (problem.x.type != CUDNN_DATA_FLOAT)
    for (const Range& range : ranges)
      if (reinterpret_cast<uintptr_t>(range.start) % 16 != 0) return CUDNN_STATUS_BAD_PARAM;
  for (const Range& range : ranges)
    for (const Range* other = &range + 1; other != std::end(ranges); ++other)
      if (range.overlaps(*other)) return CUDNN_STATUS_BAD_PARAM;
  const bool started = launch(stream, [=] { run(direction, problem, arguments, scratch_bytes, steady); });
  return started ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_EXECUTION_FAILED;
}

}  // namespace emulator::cudnn

#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>

#include "src/device/exec.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// One spatial axis of a convolution.
struct ConvAxis {
  int64_t extent = 1;  ///< of the data
  int64_t window = 1;  ///< of the filters
  int64_t stride = 1;
  int64_t pad_before = 0, pad_after = 0;  ///< zeros on each side of the data
  int64_t dilation = 1;                   ///< distance between the elements of a filter

  int64_t padded() const { return extent + pad_before + pad_after; }
  /// What a window covers, holes included.
  int64_t span() const { return dilation * (window - 1) + 1; }
  /// Number of positions of the window, which must fit.
  int64_t outputs() const { return (padded() - span()) / stride + 1; }
};

/// One to three spatial axes, outermost first.
class ConvAxes {
 public:
  static constexpr int kMax = 3;

  ConvAxes(std::initializer_list<ConvAxis> axes);
  /// So many axes with standard values.
  explicit ConvAxes(int count);
  ConvAxes() : ConvAxes(1) {}

  int count() const { return count_; }
  const ConvAxis& operator[](int axis) const { return axes_[static_cast<size_t>(axis)]; }
  ConvAxis& operator[](int axis) { return axes_[static_cast<size_t>(axis)]; }
  const ConvAxis* begin() const { return axes_.data(); }
  const ConvAxis* end() const { return axes_.data() + count_; }

 private:
  std::array<ConvAxis, kMax> axes_{};
  int count_;
};

/// A convolution of data (N, extents..., channels) with filters (filters, windows..., channels/groups), whose
/// result is (N, outputs..., filters); or its transpose, which maps such results to such data.
struct ConvSpec {
  int64_t samples = 0, channels = 0, filters = 0;
  ConvAxes axes;
  int64_t groups = 1;  ///< that channels and filters are divided into; equal to channels: depthwise
  /// The layers called transposed convolution or deconvolution: forward is what the convolution does to
  /// gradients of its result (Dumoulin and Visin 2016, chapter 4). Its input has `filters` channels and its
  /// output `channels`.
  bool transposed = false;
  bool bias = true;         ///< for each channel of the output
  bool relu = false;        ///< forward stores max(0, .)
  bool needs_dx = true;     ///< false for a first layer: nobody reads the gradient of the data
  bool adds_to_dx = false;  ///< backward adds to what dx holds
  /// forward may add up what it writes, where that is faster than to read it again: see Conv::gives_sums().
  /// Without bias and ReLU, and not transposed.
  bool sums = false;
  DType type = DType::f32;  ///< of x, w, b, y, dy and dx; dw and db are f32
  bool tf32 = false;        ///< CUDA may round the factors of f32 to ten bits after the point

  Shape data() const;
  Shape result() const;
  Shape input() const { return transposed ? result() : data(); }
  Shape output() const { return transposed ? data() : result(); }
  Shape weights() const;
  /// Channels of the output.
  int64_t features() const { return transposed ? channels : filters; }
  /// Elements of one filter for one channel.
  int64_t taps() const;
  /// Of forward, counting a multiply-add as two.
  int64_t flops() const;
};

/// Cross-correlation, channels-last, for one fixed set of shapes, planned when constructed. On the CPU
/// oneDNN, on one thread; on CUDA kernels of our own if it is depthwise, else cuDNN with deterministic
/// engines. Summed in fp32; where cuDNN computes dw in two bytes, it is rounded to the spec's type.
class Conv {
 public:
  Conv(Exec exec, const ConvSpec& spec);
  ~Conv();
  Conv(Conv&&) noexcept;

  /// Bytes of scratch memory that forward and backward need; its contents mean nothing between calls.
  size_t workspace_bytes() const;

  /// Whether forward gives the sums for a batch norm: only with the spec's sums, on CUDA, in two bytes, where
  /// run.autotune has found an engine of cuDNN that is faster with them than reading y again.
  bool gives_sums() const;

  /// x, w and y have the shapes input(), weights() and output() of the spec; b (features()) or empty; y
  /// aliases nothing. sums, if and only if gives_sums(): (2, features()) float out, over samples and
  /// positions, of the elements of y, before or after they are rounded, and of their squares; the same bits
  /// each time. Enqueues on the Exec of construction; does not wait. Throws Error(bug) on a mismatch of
  /// shapes or types.
  void forward(ConstTensor x, ConstTensor w, ConstTensor b, Tensor y, Tensor workspace, Tensor sums = {});

  /// dy like y; with a ReLU, it becomes the gradient before it, for which y is read, which is empty
  /// otherwise. dx like x or empty; dw and db (or empty). They are overwritten, not added to, but for the
  /// spec's adds_to_dx. Without dw there is no db either.
  void backward(ConstTensor x, ConstTensor w, ConstTensor y, Tensor dy, Tensor dx, Tensor dw, Tensor db,
                Tensor workspace);

 private:
  struct Cpu;
  struct Cuda;
  /// Calls use(the backend's implementation).
  template <typename Use>
  auto with_backend(Use use) const;
  /// At the start of the workspace, for a dx that the backend cannot add itself.
  size_t dx_bytes() const;

  Exec exec_;
  ConvSpec spec_;
  std::unique_ptr<Cpu> cpu_;
  std::shared_ptr<Cuda> cuda_;  ///< not shared: a shared_ptr needs no ~Cuda in a CPU-only build
};

}  // namespace lockstep

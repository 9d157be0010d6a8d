#pragma once

// Convolutions through cuDNN's backend API, and the plans that a GPU has. Included only where cuDNN may be
// used.
#include <cudnn.h>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "src/device/libraries/cudnn_attention.h"
#include "src/device/libraries/cudnn_graph.h"
#include "src/device/libraries/engine_choice.h"

namespace lockstep {

/// One direction of a cross-correlation, summed in float. All tensors are channels-last, without gaps.
struct CudnnConvolution {
  enum class Direction { forward, data_gradient, filter_gradient };

  Direction direction = Direction::forward;
  cudnnDataType_t type = CUDNN_DATA_FLOAT;  ///< of all three tensors
  bool tf32 = false;                        ///< the factors of float may be rounded to ten bits
  /// Of the data and the result: samples, channels, then the extent of each axis. Of the filters: their
  /// number, the channels of one group, then the windows.
  std::vector<int64_t> data, filters, result;
  /// For each axis.
  std::vector<int64_t> pad_before, pad_after, stride, dilation;
  bool adds = false;  ///< to what is there, in place of overwriting it

  /// The ids of the tensors for CudnnPlan::run(). The direction says which is overwritten, or added to.
  static constexpr int64_t kData = 1, kFilters = 2, kResult = 3;

  auto operator<=>(const CudnnConvolution&) const = default;
};

/// In elements, without gaps; extents are of the samples, the channels and the axes.
std::vector<int64_t> channels_last_strides(const std::vector<int64_t>& extents);

/// Adds the operation to a graph, between tensors of the convolution's extents and type.
void add_convolution(CudnnGraph& graph, const CudnnConvolution& convolution, CudnnGraph::Tensor data,
                     CudnnGraph::Tensor filters, CudnnGraph::Tensor result);

/// A convolution that also adds up its result: ids, and operations after add_convolution(). Both sums are
/// (channels) of float, over samples and positions: of the elements, and of their squares. cuDNN does not say
/// whether it takes the elements before or after it rounds them.
struct CudnnSums {
  static constexpr int64_t kSums = 4, kSquares = 5;
};

/// The plans made with one handle, so that equal layers share one.
class CudnnPlans {
 public:
  /// The plan of the first engine, in the order of cuDNN's heuristics, which estimate the fastest, that gives
  /// the same bits each time, rounds no more than `convolution` allows, fits kCudnnWorkspaceLimit, and is not
  /// compiled at run time, which takes a second or two for each; or of the one that choose_by() chooses among
  /// such engines. Null if there is none; valid as long as this object. Throws Error(bug) with cuDNN's
  /// message if a call fails for another reason.
  const CudnnPlan* find(cudnnHandle_t handle, const CudnnConvolution& convolution);

  /// Our kernels for a direction of attention, with which plans of cuDNN are compared.
  struct AttentionKernels {
    /// On the device; the tensors are those of CudnnAttentionPlan.
    struct Memory {
      void *qkv, *y, *log_sums, *dy, *dqkv, *workspace;
    };
    size_t workspace_bytes;
    std::function<void(const Memory&)> run;  ///< enqueues on the handle's stream
  };
  /// The plan that choose_by() has chosen in place of our kernels; null if that is none, if there is none, or
  /// if nobody chooses: cuDNN is not asked then, because its engines are compiled at run time. Otherwise as
  /// above.
  const CudnnAttentionPlan* find(cudnnHandle_t handle, const CudnnAttention& attention,
                                 const AttentionKernels& ours);

  /// How a forward convolution is timed together with what reads the sums over its result.
  struct Summed {
    CudnnConvolution convolution;
    size_t workspace_bytes;  ///< of the convolution without sums
    size_t other_bytes;      ///< of memory for what reads them
    /// On the device: sums are followed by squares.
    struct Memory {
      void *data, *filters, *result, *sums, *workspace, *other;
    };
    /// Enqueues both on the handle's stream; the convolution on this engine, which gives the sums, or, if it
    /// is null, as without sums, for which x is read again.
    std::function<void(const CudnnPlan* engine, const Memory&)> run;
  };
  /// The plan that choose_by() has chosen for a convolution with sums (CudnnSums), in place of one without;
  /// null if that is faster, if cuDNN has no plan whose sums have the same bits each time, or if nobody
  /// chooses: cuDNN is not asked then, because these engines are compiled at run time.
  const CudnnPlan* find_with_sums(cudnnHandle_t handle, const Summed& summed);
  /// Whether choose_by() chooses.
  bool is_choosing() const { return static_cast<bool>(choose_); }

  /// The engines of convolutions among which choose_by() chooses, at most.
  static constexpr size_t kMaxChoices = 8;
  /// Of those that give sums, each of which takes seconds to compile.
  static constexpr size_t kMaxSumming = 2;
  /// From here on, for operations that have no plan yet; empty: the first.
  void choose_by(ChooseEngine choose) { choose_ = std::move(choose); }

 private:
  std::optional<CudnnPlan> make(cudnnHandle_t handle, const CudnnConvolution& convolution) const;
  std::optional<CudnnAttentionPlan> make(cudnnHandle_t handle, const CudnnAttention& attention,
                                         const AttentionKernels& ours) const;
  std::optional<CudnnPlan> make_with_sums(cudnnHandle_t handle, const Summed& summed) const;

  ChooseEngine choose_;
  std::map<CudnnConvolution, std::optional<CudnnPlan>> convolutions_, summing_;
  std::map<CudnnAttention, std::optional<CudnnAttentionPlan>> attentions_;
};

}  // namespace lockstep

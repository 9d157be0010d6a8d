#pragma once

#include <memory>

#include "src/device/buffer.h"
#include "src/device/copy_stream.h"
#include "src/tensor/tensor.h"
#include "src/train/augment/augmentation.h"

namespace lockstep {

/// Values that every pass needs besides the draws.
struct AugmentSetup {
  Exec exec = {};
  int64_t rows = 0;                   ///< samples of a micro-batch
  int64_t all_rows = 0;               ///< samples of this rank in a step
  int sets = 1;                       ///< steps whose draws are on the device at the same time
  ConstTensor zero = {}, scale = {};  ///< (channels) of the normalization: x = stored * scale + zero
  float max = 0;                      ///< of stored values, which start at 0; 0: unknown
  DType target_dtype = DType::f32;
  int64_t target_width = 0;    ///< classes, or numbers or labels; with masks, of one position
  bool nearest_masks = false;  ///< whether masks are not interpolated
  ConstTensor mask_fill = {};  ///< (target_width) of target_dtype
};

/// A micro-batch while it is augmented.
struct AugmentedBatch {
  Tensor x, input;         ///< where the samples are now, and where they have to be in the end
  Tensor scratch[2] = {};  ///< of x: float32
  int moves_left = 0;      ///< passes that do not work in place; the last of them writes to `input`
  ConstTensor y = {};
  Tensor spare_y[2] = {};  ///< 32-bit values
  int next_scratch = 0, next_spare = 0;

  /// Where a pass that does not work in place writes samples of this shape.
  Tensor destination(const Shape& shape);
  /// The same for targets.
  Tensor target_destination(DType dtype, const Shape& shape);
};

/// One pass over micro-batches on the device, with the draws of all of a rank's samples.
class AugmentationPass {
 public:
  virtual ~AugmentationPass() = default;
  /// Sets what happens to the sample in a row of the rank's batch. Call for every row, then upload().
  virtual void put(int64_t row, const AugmentDraw& draw) = 0;
  /// Enqueues the copy to the device's set number `set`, which must be done before the next put().
  virtual void upload(CopyStream& copies, int set) = 0;
  /// Enqueues the pass over micro-batch `number`, counted over all sets.
  virtual void run(int64_t number, AugmentedBatch& batch) const = 0;
  /// Whether run() writes x to other memory, AugmentedBatch::destination().
  virtual bool moves_x() const = 0;
};

/// A pass that gets samples `before` and gives samples `after`, which differ in resampling only. setup must
/// outlive the pass.
std::unique_ptr<AugmentationPass> make_pass(AugmentPass kind, const AugmentSetup& setup,
                                            const AugmentedSamples& before, const AugmentedSamples& after);

}  // namespace lockstep

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/dataset/loader.h"
#include "src/train/augment/passes.h"
#include "src/train/step/task.h"

namespace lockstep {

/// Augments the micro-batches of training on the device. The result for a sample is a function of (run.seed,
/// epoch, sample) alone; that of mixing also depends on its partner, which is the other one of slots 2 k and
/// 2 k + 1 of the global batch, so it depends on nothing but the global batch either. For evaluation it takes
/// the middle of samples that training crops to another size, and does nothing else.
class Augmenter {
 public:
  enum class Purpose { training, evaluation };

  /// input: one sample as the network sees it. rows: samples of a micro-batch, of which a rank has `count`
  /// and computes up to `lanes` at the same time. sets: batches whose draws are on the device at the same
  /// time. Throws Error(usage) if these samples cannot be augmented as the options say.
  Augmenter(const Task& task, const Shape& input, int64_t rows, int64_t count, int lanes,
            Purpose purpose = Purpose::training, int sets = 1);
  // Not copyable: the passes refer to this object.
  Augmenter(const Augmenter&) = delete;
  Augmenter& operator=(const Augmenter&) = delete;

  bool is_active() const { return !passes_.empty(); }
  /// Of the memory of a lane. With lanes = 0, an augmenter plans it without allocating it.
  int64_t lane_bytes() const { return lane_bytes_; }
  /// Training: draws for all samples of a rank's batch, and enqueues the copy of the draws to a set on the
  /// device. They are overwritten by the next call, before which the copy must be done.
  void load(CopyStream& copies, const Batch& batch, int set = 0);

  /// "flip (probability 0.5), crop (padding 4)", for the log; empty if nothing is augmented.
  std::string describe() const;

  /// A micro-batch that a lane is about to compute.
  struct Part {
    const Augmenter* augmenter = nullptr;  ///< null: nothing is augmented
    int lane = 0;
    int64_t number = 0;
    int set = 0;
  };
  /// Where the normalized samples go before apply(): `input`, or other memory of the lane.
  Tensor first(const Part& part, Tensor input) const;
  /// Enqueues all augmentations of the samples in first(); afterwards they are in `input`. Returns the
  /// targets, which may be y itself, or in memory of the lane.
  ConstTensor apply(const Part& part, Tensor input, ConstTensor y) const;

 private:
  /// An entry of the list.
  struct Entry {
    std::unique_ptr<Augmentation> augmentation;
    AugmentedSamples samples;  ///< what it gets
  };
  /// Consecutive entries that make one pass.
  struct Pass {
    AugmentPass kind;
    std::vector<size_t> entries;
    AugmentedSamples before, after;
    std::unique_ptr<AugmentationPass> device;
  };
  struct Lane {
    std::vector<Buffer> x, y;
  };
  void plan_training(AugmentedSamples samples);
  void plan_evaluation(const AugmentedSamples& stored, const AugmentedSamples& seen);
  void check(const AugmentSpec& spec, const Augmentation& added, const AugmentedSamples& samples) const;
  void prepare(const AugmentedSamples& stored, int lanes);
  AugmentedBatch batch_of(const Part& part, Tensor input) const;
  int64_t partner_of(const Batch& batch, int64_t row) const;

  const Task& task_;
  int64_t count_;  // of micro-batches
  AugmentSetup setup_;
  Buffer zero_, scale_, mask_fill_;
  std::vector<Entry> entries_;  // as in the list
  std::vector<Pass> passes_;
  int moves_ = 0;  // passes that write x to other memory
  int64_t lane_bytes_ = 0;
  std::vector<Lane> lanes_;
};

}  // namespace lockstep

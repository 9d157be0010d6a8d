#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/dataset/dataset.h"
#include "src/device/buffer.h"
#include "src/graph/value.h"
#include "src/tensor/tensor.h"
#include "src/train/objective/objective.h"
#include "src/train/run/options.h"

namespace lockstep {

/// Everything that the data determines: the network's input, the conversion of stored samples to it, and the
/// objective.
class Task {
 public:
  /// Throws Error(usage) when the options do not fit the data: the wrong number of means, say.
  Task(Exec exec, const TrainOptions& options, const DataSignature& data);

  Exec exec() const { return exec_; }
  /// One sample as the network sees it, channels-last: float32 numbers, or int32 token ids.
  const Value& input() const { return input_; }
  /// The shape of a sample as stored, channels-last; that of input() unless augmentation crops to another
  /// size.
  const Shape& stored_shape() const { return stored_shape_; }
  const DataSignature& data() const { return data_; }
  const Objective& objective() const { return objective_; }

  /// Throws Error(data) if another data set (validation, test, a file to predict) has samples or targets of a
  /// different shape or kind; `what` names it in the message.
  void check_compatible(const Dataset& dataset, const std::string& what) const;

  /// Converts raw rows as stored to the network's input, or samples of stored_shape() that are to be cropped;
  /// enqueued. Token ids stay as they are.
  void preprocess(ConstTensor raw, Tensor samples) const;

  /// How training samples are augmented (Augmenter), and the seed of that; empty for token ids.
  const std::vector<AugmentSpec>& augment() const { return augment_; }
  uint64_t seed() const { return seed_; }
  /// The normalization of a channel: input = stored * scale + zero. A channel that the stored samples do not
  /// have, because the network sees fewer axes, is that of the first ones.
  float normalization_scale(int64_t channel) const;
  float normalized_zero(int64_t channel) const;

  /// With data.normalize = "standardize": images that a network sees as (H, W, 1) are stored as (H, W), and
  /// have one mean and standard deviation, rather than one for each column. Call once the network is known;
  /// input: one sample as it sees it.
  void fit_normalization(const Shape& input);
  /// A sentence for the user about channels that have one value in all of the training data; "" if there are
  /// none.
  std::string constant_channels() const;

  /// Shape of `rows` samples as the loader delivers them.
  Shape raw_x_shape(int64_t rows) const { return data_.x_shape.batched(rows); }
  DType x_dtype() const { return data_.x_dtype; }

 private:
  /// Whether the samples are token ids: no other samples are delivered as int32.
  bool are_ids() const { return data_.x_dtype == DType::i32; }

  int64_t channels() const { return stored_shape_.rank() == 0 ? 1 : stored_shape_[-1]; }
  /// Sets preprocess() to (unit x - mean) / std of each channel; a single value applies to all of them, no
  /// value stands for a mean of 0 and a std of 1.
  void set_affine(double unit, const std::vector<double>& mean, const std::vector<double>& std);

  Exec exec_;
  DataSignature data_;
  Shape stored_shape_;
  Value input_;
  Objective objective_;
  bool channels_first_;
  std::vector<AugmentSpec> augment_;
  uint64_t seed_;
  std::vector<float> host_affine_;  // (3, C): pivot, scale and shift of preprocess()
  Buffer affine_;                   // the same in the backend's memory
};

}  // namespace lockstep

#pragma once

#include "io/dataset/loader.h"
#include "src/train/objective/data_signature.h"

namespace lockstep {

/// Random bytes, or token ids, with random labels, in memory, to measure nothing but the model.
class RandomBatch {
 public:
  /// The part of `rank` of a global batch, of `rows` rows.
  RandomBatch(Exec exec, const DataSignature& data, int64_t global_batch, int64_t rows, int rank);
  const Batch& batch() const { return batch_; }

 private:
  Buffer memory_;
  Batch batch_;
};

/// The rows of a batch, over and over, as a data set in memory without targets.
class RepeatedRows : public Dataset {
 public:
  /// batch: must outlive this.
  RepeatedRows(const Batch& batch, int64_t size);

  int64_t size() const override { return size_; }
  const Shape& x_shape() const override { return shape_; }
  DType x_dtype() const override { return batch_.x.dtype(); }
  TargetKind target_kind() const override { return TargetKind::none; }
  const Shape& y_shape() const override { return no_target_; }
  int64_t classes() const override { return 0; }
  void read(std::span<const int64_t> indices, std::byte* x, std::byte* y) const override;
  uint64_t fingerprint() const override { return 0; }
  bool in_memory() const override { return true; }
  std::string describe() const override { return "random samples"; }

 private:
  const Batch& batch_;
  Shape shape_, no_target_;
  int64_t size_;
};

}  // namespace lockstep

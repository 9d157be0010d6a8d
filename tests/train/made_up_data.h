#pragma once

#include "models/registry.h"
#include "src/train/run/setup.h"

namespace lockstep {

/// Samples of four numbers in three classes, which need no file.
inline DataSignature made_up_data() { return {{4}, DType::f32, TargetKind::classes, {}, 3}; }

inline ModelFactory small_mlp() {
  return [](const Value& input, const NetworkOutput& output) {
    return build_model({.name = "mlp", .keys = {{"hidden", std::vector<int64_t>{8}}}}, input, output, 1);
  };
}

/// One rank's part of a global batch of such samples, in host memory of its own.
class MadeUpBatch {
 public:
  MadeUpBatch(Exec exec, const Batching& batching, int rank)
      : x_(exec, Memory::pinned, static_cast<size_t>(4 * batching.rank_batch()) * sizeof(float)),
        y_(exec, Memory::pinned, static_cast<size_t>(batching.rank_batch()) * sizeof(int32_t)),
        index_(exec, Memory::pinned, static_cast<size_t>(batching.rank_batch()) * sizeof(int64_t)) {
    const int64_t rows = batching.rank_batch();
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t sample = rank * rows + row;
      const auto at = static_cast<size_t>(row);
      for (size_t i = 0; i < 4; ++i) x_.as<float>()[4 * at + i] = static_cast<float>((sample + 3 * i) % 7);
      y_.as<int32_t>()[at] = static_cast<int32_t>(sample % 3);
      index_.as<int64_t>()[at] = sample;
    }
    batch_.global_valid = batching.global_batch;
    batch_.x = Tensor(x_.data(), DType::f32, {rows, 4});
    batch_.y = Tensor(y_.data(), DType::i32, {rows});
    batch_.sample_index = Tensor(index_.data(), DType::i64, {rows});
  }
  const Batch& batch() const { return batch_; }

 private:
  Buffer x_, y_, index_;
  Batch batch_;
};

}  // namespace lockstep

#include "launch/measure/random_samples.h"

#include <cstring>
#include <span>

#include "src/core/rng.h"

namespace lockstep {

RandomBatch::RandomBatch(Exec exec, const DataSignature& data, int64_t global_batch, int64_t rows, int rank)
    : x_(exec, Memory::pinned, static_cast<size_t>(rows * data.x_shape.elements()) * size_of(data.x_dtype)),
      y_(exec, Memory::pinned, static_cast<size_t>(rows * data.y_shape.elements()) * sizeof(int32_t)),
      index_(exec, Memory::pinned, static_cast<size_t>(rows) * sizeof(int64_t)) {
  RandomStream random(1, static_cast<uint64_t>(rank));
  const auto fill_with_classes = [&](std::span<int32_t> classes) {
    for (int32_t& value : classes)
      value = static_cast<int32_t>(random.next_below(static_cast<uint32_t>(data.outputs)));
  };
  if (data.x_dtype == DType::i32)
    fill_with_classes(x_.as<int32_t>());
  else
    for (uint8_t& value : x_.as<uint8_t>()) value = static_cast<uint8_t>(random.next());
  fill_with_classes(y_.as<int32_t>());
  for (int64_t i = 0; i < rows; ++i) index_.as<int64_t>()[static_cast<size_t>(i)] = rank * rows + i;
  batch_.global_valid = global_batch;
  batch_.x = Tensor(x_.data(), data.x_dtype, data.x_shape.batched(rows));
  batch_.y = Tensor(y_.data(), DType::i32, data.y_shape.batched(rows));
  batch_.sample_index = Tensor(index_.data(), DType::i64, {rows});
}

RepeatedRows::RepeatedRows(const Batch& batch, int64_t size)
    : batch_(batch), shape_(batch.x.shape().sample()), size_(size) {}

void RepeatedRows::read(std::span<const int64_t> indices, std::byte* x, std::byte*) const {
  const int64_t rows = batch_.x.shape()[0];
  const size_t row_bytes = batch_.x.bytes() / static_cast<size_t>(rows);
  for (size_t i = 0; i < indices.size(); ++i)
    std::memcpy(
        x + i * row_bytes,
        static_cast<const std::byte*>(batch_.x.raw()) + static_cast<size_t>(indices[i] % rows) * row_bytes,
        row_bytes);
}

}  // namespace lockstep

#include "launch/measure/random_samples.h"

#include <cstddef>
#include <cstring>
#include <span>

#include "src/core/rng.h"

namespace lockstep {

RandomBatch::RandomBatch(Exec exec, const DataSignature& data, int64_t global_batch, int64_t rows, int rank) {
  const Shape x_shape = data.x_shape.batched(rows), y_shape = data.y_shape.batched(rows);
  const BatchLayout layout(static_cast<size_t>(x_shape.elements()) * size_of(data.x_dtype),
                           static_cast<size_t>(y_shape.elements()) * sizeof(int32_t), rows);
  memory_ = Buffer(exec, Memory::pinned, layout.bytes);
  std::byte* const at = memory_.data();
  batch_.global_valid = global_batch;
  batch_.x = Tensor(at, data.x_dtype, x_shape);
  batch_.y = Tensor(at + layout.y, DType::i32, y_shape);
  batch_.sample_index = Tensor(at + layout.sample_index, DType::i64, {rows});
  batch_.block = {at, layout.bytes};

  RandomStream random(1, static_cast<uint64_t>(rank));
  const auto fill_with_classes = [&](const Tensor& classes) {
    for (int64_t i = 0; i < classes.elements(); ++i)
      classes.data<int32_t>()[i] =
          static_cast<int32_t>(random.next_below(static_cast<uint32_t>(data.outputs)));
  };
  if (data.x_dtype == DType::i32)
    fill_with_classes(batch_.x);
  else
    for (size_t i = 0; i < batch_.x.bytes(); ++i)
      batch_.x.data<uint8_t>()[i] = static_cast<uint8_t>(random.next());
  fill_with_classes(batch_.y);
  for (int64_t i = 0; i < rows; ++i) batch_.sample_index.data<int64_t>()[i] = rank * rows + i;
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

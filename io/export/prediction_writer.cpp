#include "io/export/prediction_writer.h"

#include <algorithm>
#include <vector>

namespace lockstep {

PredictionWriter::PredictionWriter(const std::string& path, int64_t samples, const Shape& output,
                                   bool classifies)
    : output_(path), samples_(samples), answer_(output), classifies_(classifies) {
  hdf5::File& file = output_.file();
  if (!classifies) {
    file.create_dataset("/prediction", DType::f32, output.batched(samples));
    return;
  }
  INVARIANT(output.rank() == 1 && output[0] > 0, "an answer of shape {} is no list of classes",
            to_string(output));
  file.create_dataset("/prediction", DType::i32, {samples});
  file.create_dataset("/probabilities", DType::f32, {samples, output[0]});
}

void PredictionWriter::write(int64_t first, const ConstTensor& values) {
  if (values.elements() == 0) return;
  const int64_t rows = values.shape()[0];
  INVARIANT(values.shape() == answer_.batched(rows) && first >= 0 && first + rows <= samples_,
            "rows {} at {} do not fit {} answers of shape {}", to_string(values.shape()), first, samples_,
            to_string(answer_));
  hdf5::File& file = output_.file();
  if (!classifies_) return file.write_rows("/prediction", first, values);

  const float* row = values.data<float>();
  std::vector<int32_t> best;
  for (int64_t i = 0; i < rows; ++i, row += answer_[0])
    best.push_back(static_cast<int32_t>(std::max_element(row, row + answer_[0]) - row));
  file.write_rows("/prediction", first, {best.data(), DType::i32, {rows}});
  file.write_rows("/probabilities", first, values);
}

void PredictionWriter::write_samples(std::span<const int64_t> rows) {
  output_.file().write("/sample", {rows.data(), DType::i64, {static_cast<int64_t>(rows.size())}});
}

void PredictionWriter::commit() { output_.commit(); }

}  // namespace lockstep

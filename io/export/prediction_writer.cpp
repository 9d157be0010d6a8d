#include "io/export/prediction_writer.h"

#include <algorithm>
#include <vector>

namespace lockstep {

namespace {

bool has_classes(const Answer& answer) {
  return answer.kind == TargetKind::classes || answer.kind == TargetKind::probabilities;
}

/// Whether probabilities are written too: those of every position would be many times what is asked for.
bool has_probabilities(const Answer& answer) {
  return answer.kind == TargetKind::labels || (has_classes(answer) && answer.positions.rank() == 0);
}

}  // namespace

PredictionWriter::PredictionWriter(const std::string& path, int64_t samples, const Answer& answer)
    : output_(path), samples_(samples), answer_(answer) {
  hdf5::File& file = output_.file();
  INVARIANT(!has_classes(answer) || (answer.values.rank() == 1 && answer.values[0] > 0),
            "an answer of shape {} is no list of classes", to_string(answer.values));
  if (answer.kind == TargetKind::values)
    file.create_dataset("/prediction", DType::f32, answer.values.batched(samples));
  else
    file.create_dataset("/prediction", DType::i32,
                        (has_classes(answer) ? answer.positions : answer.values).batched(samples));
  if (!answer.class_names.empty()) file.set_attribute("/prediction", "class_names", answer.class_names);
  if (has_probabilities(answer))
    file.create_dataset("/probabilities", DType::f32, answer.values.batched(samples));
}

void PredictionWriter::write(int64_t first, const ConstTensor& values) {
  if (values.elements() == 0) return;
  const int64_t rows = values.shape()[0];
  const int64_t width = answer_.values.elements(), positions = answer_.positions.elements();
  INVARIANT(values.elements() == rows * positions * width && first >= 0 && first + rows <= samples_,
            "rows {} at {} do not fit {} answers of {} times {}", to_string(values.shape()), first, samples_,
            positions, width);
  hdf5::File& file = output_.file();
  if (answer_.kind == TargetKind::values)
    return file.write_rows("/prediction", first, values.reshaped(answer_.values.batched(rows)));

  const float* value = values.data<float>();
  std::vector<int32_t> answers;
  if (has_classes(answer_)) {
    for (int64_t i = 0; i < rows * positions; ++i, value += width)
      answers.push_back(
          static_cast<int32_t>(std::max_element(value, value + width) - value + answer_.first_label));
  } else {
    for (int64_t i = 0; i < rows * width; ++i) answers.push_back(value[i] > 0.5f ? 1 : 0);
  }
  const Shape& shape = has_classes(answer_) ? answer_.positions : answer_.values;
  file.write_rows("/prediction", first, {answers.data(), DType::i32, shape.batched(rows)});
  if (has_probabilities(answer_))
    file.write_rows("/probabilities", first, values.reshaped(answer_.values.batched(rows)));
}

void PredictionWriter::write_samples(std::span<const int64_t> rows) {
  output_.file().write("/sample", {rows.data(), DType::i64, {static_cast<int64_t>(rows.size())}});
}

void PredictionWriter::commit() { output_.commit(); }

}  // namespace lockstep

#include "src/train/step/task.h"

#include "src/core/counted.h"
#include "src/ops/input/preprocess.h"

namespace lockstep {

namespace {

Shape channels_last(const Shape& shape, bool channels_first) {
  if (!channels_first || shape.rank() < 2) return shape;
  std::vector<int64_t> extents(shape.extents().begin() + 1, shape.extents().end());
  extents.push_back(shape[0]);
  return Shape(extents);
}

/// The value of channel c; a single value applies to all channels.
double channel_value(const std::vector<double>& values, int64_t c) {
  return values.size() == 1 ? values[0] : values[static_cast<size_t>(c)];
}

void check_moments(const std::vector<double>& values, int64_t channels, const char* key) {
  if (values.size() != 1 && static_cast<int64_t>(values.size()) != channels)
    fail(ExitCode::usage,
         "data.normalize.{} has {}, but the samples have {}. Give one value, or one per channel.", key,
         counted(values.size(), "value"), counted(channels, "channel"));
}

}  // namespace

Task::Task(Exec exec, const TrainOptions& options, const DataSignature& data)
    : exec_(exec),
      data_(data),
      input_{are_ids() ? DType::i32 : DType::f32,
             channels_last(data.x_shape, options.data.layout == Layout::channels_first)},
      objective_(exec, options, data),
      channels_first_(options.data.layout == Layout::channels_first) {
  if (are_ids()) return;
  const int64_t channels = input_.shape.rank() == 0 ? 1 : input_.shape[-1];
  const auto count = static_cast<size_t>(channels);
  std::vector<float> affine(3 * count);
  const Normalize& normalize = options.data.normalize;
  if (normalize.kind == Normalize::Kind::moments) {
    check_moments(normalize.mean, channels, "mean");
    check_moments(normalize.std, channels, "std");
  }
  const double unit = data.x_dtype == DType::u8 && normalize.kind != Normalize::Kind::none ? 1.0 / 255 : 1.0;
  // The mean of uint8 and float16 values is never large compared with their spread.
  const bool may_be_far_from_zero = data.x_dtype == DType::f32 || data.x_dtype == DType::f64;
  for (int64_t c = 0; c < channels; ++c) {
    double factor = unit, offset = 0;
    float pivot = 0;
    if (normalize.kind == Normalize::Kind::moments) {
      const double deviation = channel_value(normalize.std, c);
      if (!(deviation > 0))
        fail(ExitCode::usage, "data.normalize.std = {} is not a positive number.", deviation);
      factor = unit / deviation;
      const double mean = channel_value(normalize.mean, c);
      if (may_be_far_from_zero) pivot = static_cast<float>(mean);
      offset = -(mean - pivot) / deviation;
    }
    const auto at = static_cast<size_t>(c);
    affine[at] = pivot;
    affine[count + at] = static_cast<float>(factor);
    affine[2 * count + at] = static_cast<float>(offset);
  }
  affine_ = Buffer(exec, Memory::device, affine.size() * sizeof(float));
  copy(exec, affine_.data(), affine.data(), affine_.size());
  synchronize(exec);
}

void Task::check_compatible(const Dataset& dataset, const std::string& what) const {
  if (!(dataset.x_shape() == data_.x_shape))
    fail(ExitCode::data, "{}: samples of {} are {}, but the model was built for {}.", what,
         dataset.describe(), to_string(dataset.x_shape()), to_string(data_.x_shape));
  if (dataset.x_dtype() != data_.x_dtype)
    fail(ExitCode::data, "{}: {} holds {}, but the training data holds {}; they would be scaled differently.",
         what, dataset.describe(), to_string(dataset.x_dtype()), to_string(data_.x_dtype));
  if (dataset.target_kind() == TargetKind::none) return;
  if (dataset.target_kind() != data_.target_kind || !(dataset.y_shape() == data_.y_shape))
    fail(ExitCode::data,
         "{}: the targets of {} are of another kind or shape than those of the training data.", what,
         dataset.describe());
}

void Task::preprocess(ConstTensor raw, Tensor input) const {
  if (are_ids()) return copy(exec_, input.raw(), raw.raw(), input.bytes());
  const auto channels = static_cast<int64_t>(affine_.size() / (3 * sizeof(float)));
  const auto part = [&](int64_t number) {
    return ConstTensor(affine_.data() + static_cast<size_t>(number * channels) * sizeof(float), DType::f32,
                       {channels});
  };
  // The network's input may be (H, W, 1) where the data set has (H, W), with the same elements.
  lockstep::preprocess(exec_, {.channels_first = channels_first_}, raw, part(0), part(1), part(2),
                       input.reshaped(input_.shape.batched(raw.shape()[0])));
}

}  // namespace lockstep

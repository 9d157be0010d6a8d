#include "src/train/step/task.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "src/core/counted.h"
#include "src/ops/input/preprocess.h"
#include "src/train/augment/kinds.h"

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

/// A channel that does not vary is divided by 1.
std::vector<double> without_zeros(std::vector<double> std) {
  std::ranges::replace(std, 0.0, 1.0);
  return std;
}

}  // namespace

Task::Task(Exec exec, const TrainOptions& options, const DataSignature& data)
    : exec_(exec),
      data_(data),
      stored_shape_(channels_last(data.x_shape, options.data.layout == Layout::channels_first)),
      input_{are_ids() ? DType::i32 : DType::f32,
             are_ids() ? stored_shape_ : augmented_shape(options.data.augment, stored_shape_)},
      objective_(exec, options, data),
      channels_first_(options.data.layout == Layout::channels_first),
      seed_(options.run.seed) {
  if (are_ids()) return;
  augment_ = options.data.augment;
  const Normalize& normalize = options.data.normalize;
  const double unit = data.x_dtype == DType::u8 && normalize.kind != Normalize::Kind::none ? 1.0 / 255 : 1.0;
  if (normalize.kind == Normalize::Kind::moments) {
    check_moments(normalize.mean, channels(), "mean");
    check_moments(normalize.std, channels(), "std");
    set_affine(unit, normalize.mean, normalize.std);
  } else if (normalize.kind == Normalize::Kind::standardize && !data.mean.empty()) {
    INVARIANT(static_cast<int64_t>(data.mean.size()) == channels() && data.std.size() == data.mean.size(),
              "{} means of {} channels", data.mean.size(), channels());
    set_affine(1, data.mean, without_zeros(data.std));
  } else {
    set_affine(unit, {}, {});
    // `bench step` has no data to measure.
    data_.mean.clear();
    data_.std.clear();
  }
}

void Task::set_affine(double unit, const std::vector<double>& mean, const std::vector<double>& std) {
  const auto count = static_cast<size_t>(channels());
  host_affine_.assign(3 * count, 0);
  // The mean of uint8 and float16 values is never large compared with their spread.
  const bool may_be_far_from_zero = data_.x_dtype == DType::f32 || data_.x_dtype == DType::f64;
  for (size_t c = 0; c < count; ++c) {
    double factor = unit, offset = 0;
    float pivot = 0;
    if (!mean.empty()) {
      const double deviation = channel_value(std, static_cast<int64_t>(c));
      if (!(deviation > 0))
        fail(ExitCode::usage, "data.normalize.std = {} is not a positive number.", deviation);
      factor = unit / deviation;
      const double middle = channel_value(mean, static_cast<int64_t>(c));
      if (may_be_far_from_zero) pivot = static_cast<float>(middle);
      offset = -(middle - pivot) / deviation;
    }
    host_affine_[c] = pivot;
    host_affine_[count + c] = static_cast<float>(factor);
    host_affine_[2 * count + c] = static_cast<float>(offset);
  }
  affine_ = Buffer(exec_, Memory::device, host_affine_.size() * sizeof(float));
  copy(exec_, affine_.data(), host_affine_.data(), affine_.size());
  synchronize(exec_);
}

void Task::fit_normalization(const Shape& input) {
  const auto all_equal = [](const std::vector<double>& values) {
    return std::ranges::all_of(values, [&](double value) { return value == values[0]; });
  };
  // The moments of a checkpoint are already those of all columns, and must keep their bits.
  if (data_.mean.size() < 2 || input.rank() == 0 || input[-1] != 1 ||
      (all_equal(data_.mean) && all_equal(data_.std)))
    return;
  // Each column has equally many values.
  const auto count = static_cast<double>(data_.mean.size());
  double mean = 0, variance = 0;
  for (const double of_column : data_.mean) mean += of_column / count;
  for (size_t c = 0; c < data_.mean.size(); ++c)
    variance += (data_.std[c] * data_.std[c] + (data_.mean[c] - mean) * (data_.mean[c] - mean)) / count;
  data_.mean.assign(data_.mean.size(), mean);
  data_.std.assign(data_.std.size(), std::sqrt(variance));
  set_affine(1, data_.mean, without_zeros(data_.std));
}

std::string Task::constant_channels() const {
  std::vector<size_t> constant;
  for (size_t c = 0; c < data_.std.size(); ++c)
    if (data_.std[c] == 0) constant.push_back(c);
  if (constant.empty()) return "";
  const std::string which = constant.size() == data_.std.size() ? "every channel has"
                            : constant.size() == 1
                                ? fmt::format("channel {} has", constant[0])
                                : fmt::format("{} of {} channels (the first is {}) have", constant.size(),
                                              data_.std.size(), constant[0]);
  return fmt::format(
      "data.normalize = \"standardize\": {} the same value in all of data.train and becomes 0. Leave out what "
      "never varies, or set data.normalize to \"unit\" or {{ mean, std }}",
      which);
}

float Task::normalization_scale(int64_t channel) const {
  const size_t channels = host_affine_.size() / 3;
  return host_affine_[channels + static_cast<size_t>(channel) % channels];
}

float Task::normalized_zero(int64_t channel) const {
  const size_t channels = host_affine_.size() / 3, c = static_cast<size_t>(channel) % channels;
  return static_cast<float>(-double{host_affine_[c]} * double{host_affine_[channels + c]} +
                            double{host_affine_[2 * channels + c]});
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

void Task::preprocess(ConstTensor raw, Tensor samples) const {
  if (are_ids()) return copy(exec_, samples.raw(), raw.raw(), samples.bytes());
  const auto channels = static_cast<int64_t>(affine_.size() / (3 * sizeof(float)));
  const auto part = [&](int64_t number) {
    return ConstTensor(affine_.data() + static_cast<size_t>(number * channels) * sizeof(float), DType::f32,
                       {channels});
  };
  // The network's input may be (H, W, 1) where the data set has (H, W), with the same elements.
  lockstep::preprocess(exec_, {.channels_first = channels_first_}, raw, part(0), part(1), part(2),
                       samples.reshaped(stored_shape_.batched(raw.shape()[0])));
}

}  // namespace lockstep

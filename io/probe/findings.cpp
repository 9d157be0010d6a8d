#include "io/probe/findings.h"

#include <algorithm>
#include <cmath>

#include "src/core/counted.h"
#include "src/tensor/narrow.h"

namespace lockstep {

namespace {

constexpr int64_t kSamplesLookedAt = 16;
/// Inputs with a larger mean or deviation are far from the 0 and 1 for which initial weights are chosen.
constexpr double kLargeInput = 10;
/// If a class has this fraction of all samples, accuracy says little.
constexpr double kLargePart = 0.95;

/// Converts a row of `dtype` to double.
void append(std::vector<double>& values, DType dtype, const std::byte* row, int64_t count) {
  const auto add = [&](const auto* numbers) { values.insert(values.end(), numbers, numbers + count); };
  if (dtype == DType::f32) add(reinterpret_cast<const float*>(row));
  if (dtype == DType::f64) add(reinterpret_cast<const double*>(row));
  if (dtype != DType::f16) return;
  std::vector<float> wide(static_cast<size_t>(count));
  cpu::widen(DType::f16, reinterpret_cast<const uint16_t*>(row), wide.data(), count);
  add(wide.data());
}

void look_at_values(const Column& x, SourceFacts& facts) {
  const int64_t count = std::min(kSamplesLookedAt, facts.samples), width = facts.sample.elements();
  std::vector<double> values;
  std::vector<std::byte> row(x.row_bytes());
  for (int64_t i = 0; i < count; ++i) {
    const int64_t index = count == 1 ? 0 : i * (facts.samples - 1) / (count - 1);
    x.read({&index, 1}, row.data());
    append(values, x.dtype(), row.data(), width);
  }
  facts.values = static_cast<int64_t>(values.size());
  if (values.empty()) return;
  const auto [min, max] = std::ranges::minmax(values);
  double sum = 0, squares = 0;
  for (const double value : values) sum += value;
  facts.mean = sum / static_cast<double>(values.size());
  for (const double value : values) squares += (value - facts.mean) * (value - facts.mean);
  facts.min = min;
  facts.max = max;
  facts.deviation = std::sqrt(squares / static_cast<double>(values.size()));
}

void find_scale(const SourceFacts& facts, std::vector<Finding>& found) {
  if (facts.values == 0 || std::max(std::abs(facts.mean), facts.deviation) < kLargeInput) return;
  const bool maybe_tokens =
      facts.x_stored.kind == hdf5::ElementType::Kind::integer && facts.sample.rank() == 1 && facts.min >= 0;
  found.push_back(
      {fmt::format(
           "{} holds {} from {:.6g} to {:.6g} (in {}), which enter the network as they are: "
           "set data.normalize = {{ mean = [{:.5g}], std = [{:.4g}] }}, or data.normalize = \"none\" if "
           "they are meant so{}",
           facts.x, facts.x_stored.name, facts.min, facts.max,
           counted(std::min(kSamplesLookedAt, facts.samples), "sample"), facts.mean,
           facts.deviation > 0 ? facts.deviation : 1,
           maybe_tokens
               ? "; if they are token ids, set data.task = \"tokens\" to train a model of the next one"
               : ""),
       "data.normalize"});
}

void find_layout(const SourceFacts& facts, bool channels_first, std::vector<Finding>& found) {
  if (facts.sample.rank() != 3) return;
  // Of three axes a, b, c the channels are usually few, and images usually square.
  const int64_t a = facts.sample[0], b = facts.sample[1], c = facts.sample[2];
  constexpr int64_t kFewChannels = 4;
  const bool looks_first = (a <= kFewChannels && c > kFewChannels) || (b == c && a != b && c > kFewChannels);
  const bool looks_last = (c <= kFewChannels && a > kFewChannels) || (a == b && c != b && a > kFewChannels);
  const char* other = channels_first ? "channels_last" : "channels_first";
  if (looks_first == looks_last || looks_first == channels_first) return;
  found.push_back(
      {fmt::format("{} has samples of {}, which are read {} ({}): set data.layout = \"{}\" if the "
                   "channels are the {} axis",
                   facts.x, to_string(facts.sample), channels_first ? "channels-first" : "channels-last",
                   axes_in_words(channels_first ? Shape{b, c, a} : facts.sample), other,
                   channels_first ? "last" : "first"),
       "data.layout"});
}

void find_unused_classes(const SourceFacts& facts, std::vector<Finding>& found) {
  const int64_t used = facts.labels.distinct(), classes = facts.outputs;
  if (used == classes || !facts.class_names.empty()) return;  // a name says that the class exists
  found.push_back(
      {fmt::format(
           "the labels of {} go up to {}, which makes {} classes, of which {} ha{} a sample: "
           "number them 0 to {}, or set data.classes = {} if the others exist, or "
           "data.task = \"values\" if these are numbers to predict, or train.ignore_label = {} if that "
           "one means no class",
           facts.y, classes - 1, classes, used, used == 1 ? "s" : "ve", used - 1, classes, classes - 1),
       "data.classes"});
}

void find_large_class(const SourceFacts& facts, std::vector<Finding>& found) {
  const std::vector<int64_t>& counts = facts.labels.counts();
  const auto largest = std::ranges::max_element(counts);
  const auto largest_class = static_cast<size_t>(largest - counts.begin());
  const double part = static_cast<double>(*largest) / static_cast<double>(facts.labels.samples());
  if (part < kLargePart) return;
  found.push_back(
      {fmt::format(
           "{:.3g} % of the labels of {} are {}, so that this answer alone has that "
           "accuracy: judge a model by the recall of each class, which lockstep eval prints, or by "
           "train.metrics = [\"balanced_accuracy\"], and weigh the classes with train.class_weights = "
           "\"balanced\" if the others matter as much",
           100 * part, facts.y,
           facts.class_names.empty() ? std::to_string(largest_class) : facts.class_names[largest_class]),
       "train.class_weights"});
}

/// Such as -1 and 1 in floating point.
void find_negative_labels(const SourceFacts& facts, std::vector<Finding>& found) {
  const LabelCounts& labels = facts.labels;
  constexpr double kMinNegative = -9;
  if (!labels.whole() || labels.samples() < 4 || labels.min() >= 0 || labels.min() < kMinNegative ||
      labels.max() > -kMinNegative)
    return;
  found.push_back(
      {fmt::format("{} holds only whole numbers from {:.0f} to {:.0f}, which are taken for numbers "
                   "to predict: if they are classes, number them from 0 on; if not, "
                   "data.task = \"values\" says so",
                   facts.y, labels.min(), labels.max()),
       "data.task"});
}

}  // namespace

SourceFacts facts_of(const Column& x, const Targets* targets) {
  SourceFacts facts;
  facts.x = x.file(0) + ":" + x.name();
  facts.samples = x.rows();
  facts.sample = x.row_shape();
  facts.has_channels = x.has_channels();
  facts.x_stored = x.stored_type();
  if (x.dtype() != DType::u8) look_at_values(x, facts);
  if (targets == nullptr) return facts;
  const Column& y = targets->column();
  facts.y = y.file(0) + ":" + y.name();
  facts.target = targets->kind();
  const bool has_classes =
      targets->kind() == TargetKind::classes || targets->kind() == TargetKind::probabilities;
  facts.outputs = has_classes ? targets->classes() : targets->shape().elements();
  facts.target_shape = targets->shape();
  facts.whole_floats =
      targets->kind() == TargetKind::classes && y.stored_type().kind == hdf5::ElementType::Kind::floating;
  facts.class_names = targets->class_names();
  facts.labels = targets->counts();
  return facts;
}

std::vector<Finding> findings_of(const SourceFacts& facts, const Reading& reading) {
  std::vector<Finding> found;
  find_layout(facts, reading.channels_first, found);
  if (!reading.scaled) find_scale(facts, found);
  if (facts.target == TargetKind::classes) {
    if (reading.classes == 0) find_unused_classes(facts, found);
    if (!reading.weighed) find_large_class(facts, found);
  }
  if (facts.target == TargetKind::values && reading.task == TargetTask::automatic)
    find_negative_labels(facts, found);
  return found;
}

std::string single_numbers(const std::string& x, int64_t samples) {
  return fmt::format(
      "each sample of {} is a single number, and a network needs at least a vector. Store {} "
      "samples as ({}, 1); if the numbers are one series, cut it into windows and store them as "
      "(windows, length)",
      x, samples, samples);
}

std::string axes_in_words(const Shape& sample, bool has_channels) {
  const auto channels = [](int64_t count) { return count == 1 ? "one channel" : counted(count, "channel"); };
  if (sample.rank() == 1) return counted(sample[0], "value");
  if (sample.rank() == 2)
    return has_channels ? fmt::format("length {}, {}", sample[0], channels(sample[1]))
                        : fmt::format("{} x {} values", sample[0], sample[1]);
  if (sample.rank() == 3)
    return fmt::format("height {}, width {}, {}", sample[0], sample[1], channels(sample[2]));
  if (sample.rank() == 4)
    return fmt::format("depth {}, height {}, width {}, {}", sample[0], sample[1], sample[2],
                       channels(sample[3]));
  return fmt::format("{} axes", sample.rank());
}

}  // namespace lockstep

#include "io/dataset/order/choose_order.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "src/core/counted.h"
#include "src/core/error.h"

namespace lockstep {

namespace {

/// An epoch needs several windows per lane, so that samples move between batches from epoch to epoch and
/// few are left over.
constexpr int64_t kRunsPerLane = 8;

/// The largest divisor of `number` up to `limit`.
int64_t divisor_up_to(int64_t number, int64_t limit) {
  int64_t divisor = std::clamp<int64_t>(limit, 1, number);
  while (number % divisor != 0) --divisor;
  return divisor;
}

/// The parts of a WindowOrder: those of the storage if the rests behind their whole runs are few, else one.
std::vector<int64_t> parts_for(const StoredSamples& samples, int64_t run, int64_t size) {
  constexpr int64_t kMaxRest = 16;  // a sixteenth
  int64_t rests = 0;
  for (const int64_t part : samples.parts) rests += part % run;
  return rests <= size / kMaxRest ? samples.parts : std::vector<int64_t>{size};
}

double bytes_used(const StoredSamples& samples) { return std::max(1.0, samples.sample_bytes); }

WindowShape choose_windows(const StoredSamples& samples, int64_t size, int64_t global_batch,
                           double window_bytes, bool one_run) {
  // Storage without blocks is read best in pieces of this size.
  constexpr double kPieceBytes = 0x1p20;
  // Runs that do not begin with a block read two blocks in part.
  constexpr int64_t kBlocksIfNotAligned = 4;

  const auto affordable = [&](int64_t run) {
    const double runs = window_bytes / (static_cast<double>(run) * bytes_used(samples));
    return static_cast<int64_t>(std::clamp(runs, 1.0, 0x1p40));
  };
  int64_t run = samples.block;
  if (run == 1) run = static_cast<int64_t>(std::max(1.0, kPieceBytes / bytes_used(samples)));
  run = std::clamp<int64_t>(size, 1, run);
  const bool is_aligned = samples.aligned && parts_for(samples, run, size) == samples.parts;
  if (!is_aligned && affordable(run * kBlocksIfNotAligned) >= kRunsPerLane)
    run = std::clamp<int64_t>(size, 1, run * kBlocksIfNotAligned);
  if (one_run) return {.run = run};

  constexpr int64_t kMaxLanes = 256;
  const int64_t active = affordable(run), runs = size / run;
  const int64_t lanes = divisor_up_to(global_batch, std::min({kMaxLanes, active, runs / kRunsPerLane}));
  const int64_t most_mixed = std::max<int64_t>(1, runs / lanes / kRunsPerLane);
  return {.lanes = lanes, .run = run, .runs_mixed = std::clamp<int64_t>(active / lanes, 1, most_mixed)};
}

}  // namespace

Order choose_order(Shuffle wanted, const Dataset& dataset, int64_t global_batch, int64_t window_bytes) {
  constexpr double kMaxAmplification = 2;
  const StoredSamples samples = dataset.stored_samples();
  if (wanted == Shuffle::off) return {Order::Kind::stored};
  if (wanted == Shuffle::full ||
      (wanted == Shuffle::automatic && samples.decoded_bytes <= kMaxAmplification * bytes_used(samples)))
    return {Order::Kind::full};
  WindowShape shape = choose_windows(samples, dataset.size(), global_batch, static_cast<double>(window_bytes),
                                     wanted == Shuffle::chunk);
  shape.keeps_runs = wanted == Shuffle::local;
  return window_order(shape, dataset);
}

Order window_order(const WindowShape& shape, const Dataset& dataset) {
  return {.kind = Order::Kind::windows,
          .windows = shape,
          .parts = parts_for(dataset.stored_samples(), shape.run, dataset.size())};
}

Order class_order(const std::vector<double>& shares, const Dataset& dataset) {
  if (dataset.target_kind() != TargetKind::classes || dataset.y_shape().rank() != 0)
    fail(
        ExitCode::usage,
        "data.sampling draws samples by their class, but the targets of {} are not one class each. Remove the "
        "key.",
        dataset.describe());
  const auto classes = static_cast<size_t>(dataset.classes());
  if (!shares.empty() && shares.size() != classes)
    fail(ExitCode::usage, "data.sampling has {}, but the data has {} classes. Give one for each class.",
         counted(shares.size(), "number"), classes);
  std::vector<int64_t> labels(static_cast<size_t>(dataset.size()));
  double all = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    labels[i] = dataset.label(static_cast<int64_t>(i));
    if (labels[i] >= 0) all += shares.empty() ? 1 : shares[static_cast<size_t>(labels[i])];
  }
  if (all == 0)
    fail(ExitCode::usage, "data.sampling gives no share to any class that occurs in {}.", dataset.describe());
  return {.kind = Order::Kind::classes,
          .windows = {},
          .parts = {},
          .classes = std::make_shared<ClassOrder>(
              labels, shares.empty() ? std::vector<double>(classes, 1.0) : shares)};
}

Order length_order(const std::vector<int64_t>& bounds, const Dataset& dataset, int64_t global_batch) {
  std::vector<int64_t> all_samples(static_cast<size_t>(dataset.size()));
  std::iota(all_samples.begin(), all_samples.end(), 0);
  const std::vector<int64_t> lengths = dataset.lengths(all_samples);
  if (lengths.empty())
    fail(ExitCode::usage,
         "data.buckets: {} holds no sequences of variable length. Remove the key, or see "
         "docs/data-layouts.md.",
         dataset.describe());
  const int64_t longest = dataset.x_shape()[0];
  if (dataset.has_class_at_each_position() && dataset.y_shape()[0] != longest)
    fail(
        ExitCode::usage,
        "data.buckets: samples of {} are padded to {}, but their targets to {}. Set data.length to the larger "
        "of the two.",
        dataset.describe(), longest, dataset.y_shape()[0]);
  if (bounds.back() >= longest)
    fail(ExitCode::usage,
         "data.buckets: {} is not below {}, to which samples are padded in any case. Remove it.",
         bounds.back(), longest);
  std::vector<int64_t> all = bounds;
  all.push_back(longest);
  return {.kind = Order::Kind::lengths,
          .lengths = std::make_shared<LengthOrder>(lengths, std::move(all), global_batch)};
}

double read_amplification(const Order& order, const Dataset& dataset) {
  const StoredSamples samples = dataset.stored_samples();
  if (order.kind == Order::Kind::full || order.kind == Order::Kind::classes ||
      order.kind == Order::Kind::lengths)
    return std::max(1.0, samples.decoded_bytes / bytes_used(samples));
  if (order.kind == Order::Kind::stored) return 1;
  const WindowShape& shape = order.windows;
  const bool begins_with_blocks = samples.aligned && order.parts == samples.parts;
  const auto run = static_cast<double>(shape.run);
  return begins_with_blocks ? 1 : (run + static_cast<double>(samples.block) - 1) / run;
}

namespace {

/// "in batches of similar length, padded to 64 (12 steps), 128 (7) and 512 (2): ..."
std::string describe_lengths(const LengthOrder& order) {
  const std::vector<int64_t> batches = order.batches();
  std::string text = "in batches of similar length, padded to ";
  for (size_t i = 0; i < batches.size(); ++i)
    text += fmt::format("{}{} ({})",
                        i == 0                   ? ""
                        : i + 1 < batches.size() ? ", "
                                                 : " and ",
                        order.bounds()[i], counted(batches[i], "step"));
  return fmt::format("{}: {:.0f} % of the positions are padding, instead of {:.0f} %", text,
                     100 * order.padding(), 100 * order.padding_to_last());
}

}  // namespace

std::string describe_order(const Order& order, const Dataset& dataset) {
  if (order.kind == Order::Kind::stored) return "as stored, without shuffling";
  if (order.kind != Order::Kind::windows) {
    const double read = read_amplification(order, dataset);
    const std::string text = order.kind == Order::Kind::full ? "a full shuffle each epoch"
                             : order.kind == Order::Kind::classes
                                 ? "drawn by class, each class with its share (data.sampling)"
                                 : describe_lengths(*order.lengths);
    return read < 1.05 ? text : fmt::format("{}, which decodes {:.1f} times what it uses", text, read);
  }
  const WindowShape& shape = order.windows;
  const int64_t runs = shape.lanes * shape.runs_mixed;
  const double mixed = std::min(
      1.0, static_cast<double>(runs) * static_cast<double>(shape.run) / static_cast<double>(dataset.size()));
  const double read = read_amplification(order, dataset);
  return fmt::format(
      "shuffled in windows: {} of {}, {:.2g} % of the data, {} mixed at a time; {}{}", counted(runs, "run"),
      counted(shape.run, "stored sample"), 100 * mixed, runs == 1 ? "is" : "are",
      read < 1.05 ? "each is read once" : fmt::format("decodes {:.2g} times what it uses", read),
      shape.keeps_runs ? fmt::format("; each of {} of a batch has its own runs, the same in every epoch",
                                     counted(shape.lanes, "part"))
                       : "");
}

}  // namespace lockstep

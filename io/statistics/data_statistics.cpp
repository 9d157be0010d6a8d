#include "io/statistics/data_statistics.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

#include "io/probe/findings.h"
#include "io/statistics/sample_pieces.h"
#include "src/core/thread_pool.h"

namespace lockstep {

namespace {

/// Beyond them, a histogram of each channel takes too much memory, and nobody reads them.
constexpr size_t kMaxHistograms = 4096;

/// One column, read by several threads.
class ColumnMeter {
 public:
  ColumnMeter(Channels channels, bool integers, int64_t parts, int lanes)
      : channels_(channels),
        parts_(static_cast<size_t>(parts), ChannelMoments(channels.count)),
        not_finite_(static_cast<size_t>(lanes), std::vector<int64_t>(channels.count)),
        histograms_(static_cast<size_t>(lanes)) {
    const bool has_histograms = channels.count <= kMaxHistograms;
    for (auto& of_lane : histograms_)
      of_lane.assign(has_histograms ? channels.count : 0, integers ? Histogram(0) : Histogram());
  }

  /// lengths: of the samples, without padding, which is NaN; empty: no sample is padded.
  void add(int64_t part, int lane, const std::vector<double>& values, const std::vector<int64_t>& lengths) {
    parts_[static_cast<size_t>(part)].add(values, channels_.inner);
    auto& not_finite = not_finite_[static_cast<size_t>(lane)];
    auto& histograms = histograms_[static_cast<size_t>(lane)];
    for (size_t i = 0; i < values.size();)
      for (size_t c = 0; c < channels_.count; ++c)
        for (size_t k = 0; k < channels_.inner; ++k, ++i) {
          if (is_padding(i, values.size(), lengths)) continue;
          if (!std::isfinite(values[i]))
            ++not_finite[c];
          else if (!histograms.empty())
            histograms[c].add(values[i]);
        }
  }

  ColumnStatistics result() const {
    ColumnStatistics result(channels_.count);
    for (const ChannelMoments& part : parts_) result.moments.add(part);
    result.not_finite = not_finite_[0];
    result.histograms = histograms_[0];
    for (size_t lane = 1; lane < histograms_.size(); ++lane) {
      for (size_t c = 0; c < channels_.count; ++c) result.not_finite[c] += not_finite_[lane][c];
      for (size_t c = 0; c < result.histograms.size(); ++c) result.histograms[c].add(histograms_[lane][c]);
    }
    return result;
  }

 private:
  static bool is_padding(size_t index, size_t values, const std::vector<int64_t>& lengths) {
    if (lengths.empty()) return false;
    const size_t of_sample = values / lengths.size();
    return static_cast<int64_t>(index % of_sample) >= lengths[index / of_sample];
  }

  Channels channels_;
  std::vector<ChannelMoments> parts_;
  // By lane: integers, which may be added up in any order.
  std::vector<std::vector<int64_t>> not_finite_;
  std::vector<std::vector<Histogram>> histograms_;
};

bool stores_integers(const Dataset& dataset) {
  if (dataset.x_dtype() == DType::u8 || dataset.x_dtype() == DType::i32) return true;
  const auto facts = dataset.facts();
  return facts && facts->x_stored.kind == hdf5::ElementType::Kind::integer;
}

void widen_floats(const std::vector<std::byte>& bytes, std::vector<double>& values) {
  std::vector<float> floats(bytes.size() / sizeof(float));
  std::memcpy(floats.data(), bytes.data(), bytes.size());
  values.assign(floats.begin(), floats.end());
}

void count_classes(const std::vector<std::byte>& bytes, std::vector<int64_t>& counts, int64_t& ignored) {
  for (size_t at = 0; at < bytes.size(); at += sizeof(int32_t)) {
    int32_t label = 0;
    std::memcpy(&label, bytes.data() + at, sizeof(label));
    if (label >= 0 && static_cast<size_t>(label) < counts.size())
      ++counts[static_cast<size_t>(label)];
    else
      ++ignored;
  }
}

}  // namespace

DataStatistics measure_statistics(const Dataset& dataset, const StatisticsOptions& options) {
  const bool has_classes = dataset.target_kind() == TargetKind::classes;
  const bool has_targets = dataset.target_kind() != TargetKind::none;
  const Channels channels = Channels::of(dataset.x_shape(), options.channels_first);
  const Channels outputs =
      has_targets && !has_classes ? Channels::of(dataset.y_shape(), false) : Channels{0, 1};
  const SampleParts parts(dataset, channels.count * ChannelMoments::kNumbers);
  ThreadPool pool(options.threads);
  const auto lanes = static_cast<size_t>(pool.lanes());
  ColumnMeter x(channels, stores_integers(dataset), parts.count(), pool.lanes());
  ColumnMeter y(outputs, dataset.target_kind() == TargetKind::labels, parts.count(), pool.lanes());
  std::vector<std::vector<int64_t>> classes(
      lanes, std::vector<int64_t>(has_classes ? static_cast<size_t>(dataset.classes()) : 0));
  std::vector<int64_t> ignored(lanes);
  std::vector<std::map<int64_t, int64_t>> lengths(lanes);

  std::atomic<int64_t> next = 0;
  std::mutex progress;
  int64_t samples_done = 0;
  const auto sample_bytes = dataset.x_shape().elements() * static_cast<int64_t>(size_of(dataset.x_dtype()));
  pool.run([&](int lane) {
    std::vector<double> values;
    for (int64_t part; (part = next++) < parts.count();) {
      for_each_piece(dataset, parts.rows_of(part), has_targets, [&](const SamplePiece& piece) {
        x.add(part, lane, piece.x, piece.lengths);
        for (const int64_t length : piece.lengths) ++lengths[static_cast<size_t>(lane)][length];
        if (has_classes) {
          count_classes(piece.y, classes[static_cast<size_t>(lane)], ignored[static_cast<size_t>(lane)]);
        } else if (has_targets) {
          widen_floats(piece.y, values);
          y.add(part, lane, values, {});
        }
        const std::scoped_lock lock(progress);
        samples_done += static_cast<int64_t>(piece.samples.size());
        if (options.progress) options.progress(samples_done * sample_bytes, dataset.size() * sample_bytes);
      });
    }
  });

  DataStatistics result{x.result(), y.result(), std::move(classes[0]), ignored[0], std::move(lengths[0])};
  for (size_t lane = 1; lane < lanes; ++lane) {
    for (size_t c = 0; c < result.classes.size(); ++c) result.classes[c] += classes[lane][c];
    result.ignored += ignored[lane];
    for (const auto& [length, samples] : lengths[lane]) result.lengths[length] += samples;
  }
  return result;
}

}  // namespace lockstep

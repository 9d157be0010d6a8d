#include "launch/report/statistics_report.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "io/probe/findings.h"
#include "src/core/counted.h"
#include "src/core/text/printable.h"

namespace lockstep {

namespace {

constexpr size_t kRows = 16;       ///< of a table
constexpr size_t kHistograms = 4;  ///< drawn
constexpr size_t kMaxNormalized = 64;
constexpr size_t kBarColumns = 40;

std::string share_text(int64_t count, int64_t all) {
  return fmt::format("{:.2f} %",
                     100 * static_cast<double>(count) / static_cast<double>(std::max<int64_t>(1, all)));
}

std::string bar(int64_t count, int64_t largest) {
  if (count == 0) return "";
  const double share = static_cast<double>(count) / static_cast<double>(largest);
  return std::string(static_cast<size_t>(std::max(1., std::round(share * kBarColumns))), '#');
}

/// Whether samples are (height, width), which a network reads as images of one channel.
bool has_one_channel(const Dataset& dataset) {
  if (dataset.x_shape().rank() != 2) return false;
  const std::optional<SourceFacts> facts = dataset.facts();
  return !facts || !facts->has_channels;
}

/// The factor that data.normalize applies before mean and std.
double unit_of(const Dataset& dataset) { return dataset.x_dtype() == DType::u8 ? 1. / 255 : 1; }

/// Mean and std as data.normalize takes them; none if it cannot.
std::optional<std::pair<std::vector<double>, std::vector<double>>> normalize_of(
    const Dataset& dataset, const DataStatistics& statistics) {
  const ChannelMoments moments =
      has_one_channel(dataset) ? statistics.x.moments.over_all_channels() : statistics.x.moments;
  std::vector<double> mean, deviation;
  for (size_t c = 0; c < moments.channels(); ++c) {
    if (moments.count(c) == 0) return std::nullopt;
    mean.push_back(moments.mean(c) * unit_of(dataset));
    // As data.normalize = "standardize" has it, what never varies is divided by 1.
    deviation.push_back(moments.deviation(c) > 0 ? moments.deviation(c) * unit_of(dataset) : 1);
  }
  if (dataset.x_dtype() == DType::i32) return std::nullopt;
  return std::pair(std::move(mean), std::move(deviation));
}

/// All channels together, as one.
ColumnStatistics as_one(const ColumnStatistics& column) {
  ColumnStatistics one(1);
  one.moments = column.moments.over_all_channels();
  one.not_finite = {0};
  for (const int64_t count : column.not_finite) one.not_finite[0] += count;
  if (!column.histograms.empty()) one.histograms = {column.histograms[0]};
  for (size_t c = 1; c < column.histograms.size(); ++c) one.histograms[0].add(column.histograms[c]);
  return one;
}

Json histogram_json(const Histogram& histogram) {
  Json counts = Json::array();
  for (int64_t bin = 0; bin < histogram.bins(); ++bin) counts.push_back(histogram.count(bin));
  return {{"first", histogram.bins() > 0 ? Json(histogram.lower_bound(0)) : Json(nullptr)},
          {"width", histogram.width()},
          {"counts", std::move(counts)}};
}

Json channel_json(const ChannelMoments& moments, size_t c, int64_t not_finite) {
  const bool has_values = moments.count(c) > 0;
  const auto number = [&](double value) { return has_values ? Json(value) : Json(nullptr); };
  return {{"values", moments.count(c)},      {"not_finite", not_finite},
          {"mean", number(moments.mean(c))}, {"std", number(moments.deviation(c))},
          {"min", number(moments.min(c))},   {"max", number(moments.max(c))}};
}

Json column_json(const ColumnStatistics& column) {
  Json channels = Json::array();
  int64_t not_finite = 0;
  for (size_t c = 0; c < column.moments.channels(); ++c) {
    channels.push_back(channel_json(column.moments, c, column.not_finite[c]));
    if (!column.histograms.empty()) channels.back()["histogram"] = histogram_json(column.histograms[c]);
    not_finite += column.not_finite[c];
  }
  return {{"all", channel_json(column.moments.over_all_channels(), 0, not_finite)},
          {"channels", std::move(channels)}};
}

void print_histogram(const Histogram& histogram, int64_t values) {
  int64_t largest = 1;
  for (int64_t bin = 0; bin < histogram.bins(); ++bin) largest = std::max(largest, histogram.count(bin));
  std::vector<std::vector<std::string>> rows;
  for (int64_t bin = 0; bin < histogram.bins(); ++bin)
    rows.push_back({fmt::format("{:.9g}", histogram.lower_bound(bin)),
                    share_text(histogram.count(bin), values), bar(histogram.count(bin), largest)});
  if (histogram.bins() > 0)
    rows.push_back({fmt::format("{:.9g}", histogram.lower_bound(histogram.bins())), "", ""});
  print_table(rows, {true, true, false});
}

void print_column(const ColumnStatistics& column, const std::string& name, const std::string& channel) {
  const ChannelMoments& moments = column.moments;
  const size_t channels = moments.channels(), shown = std::min(channels, kRows);
  std::vector<std::vector<std::string>> rows{{name, "mean", "std", "min", "max", "not finite"}};
  const auto add = [&](const std::string& label, const ChannelMoments& of, size_t c, int64_t not_finite) {
    const auto number = [&](double value) { return of.count(c) > 0 ? fmt::format("{:.6g}", value) : "-"; };
    rows.push_back({label, number(of.mean(c)), number(of.deviation(c)), number(of.min(c)), number(of.max(c)),
                    readable_count(not_finite)});
  };
  if (channels > 1) add("all", moments.over_all_channels(), 0, as_one(column).not_finite[0]);
  for (size_t c = 0; c < shown; ++c)
    add(channels == 1 ? "all" : fmt::format("{} {}", channel, c), moments, c, column.not_finite[c]);
  print_table(rows, {false, true, true, true, true, true});
  if (shown < channels)
    print_text("and {} (--json lists all)\n", counted(channels - shown, "more " + channel));
  const size_t drawn = std::min(column.histograms.size(), channels <= kHistograms ? channels : 0);
  for (size_t c = 0; c < drawn; ++c) {
    print_text("\n{}, share of the values in each bin:\n",
               channels == 1 ? name : fmt::format("{} {} of {}", channel, c, name));
    print_histogram(column.histograms[c], moments.count(c));
  }
  if (drawn < channels && !column.histograms.empty())
    print_text("--json has the histograms of the {} {}s\n", channels, channel);
}

struct LengthSummary {
  int64_t min = 0, median = 0, max = 0;
};

/// None if no sample is padded.
std::optional<LengthSummary> summary_of(const std::map<int64_t, int64_t>& lengths) {
  if (lengths.empty()) return std::nullopt;
  int64_t samples = 0, before = 0;
  for (const auto& [length, count] : lengths) samples += count;
  auto middle = lengths.begin();
  while (before + middle->second <= (samples - 1) / 2) before += (middle++)->second;
  return LengthSummary{lengths.begin()->first, middle->first, lengths.rbegin()->first};
}

/// A class as the file has it: by its name or label.
std::string class_text(const Dataset& dataset, size_t number) {
  if (!dataset.class_names().empty()) return printable(dataset.class_names().at(number));
  return std::to_string(static_cast<int64_t>(number) + dataset.understood().first_label);
}

void print_classes(const Dataset& dataset, const DataStatistics& statistics) {
  if (statistics.classes.empty()) return;
  int64_t all = 0, empty = 0;
  for (const int64_t count : statistics.classes) {
    all += count;
    empty += count == 0 ? 1 : 0;
  }
  const int64_t largest = std::max<int64_t>(1, std::ranges::max(statistics.classes));
  const size_t shown = std::min(statistics.classes.size(), kRows + kHistograms);
  std::vector<std::vector<std::string>> rows{{"class", "targets", "share", ""}};
  for (size_t c = 0; c < shown; ++c)
    rows.push_back({class_text(dataset, c), readable_count(statistics.classes[c]),
                    share_text(statistics.classes[c], all), bar(statistics.classes[c], largest)});
  print_table(rows, {dataset.class_names().empty(), true, true, false});
  if (shown < statistics.classes.size())
    print_text("and {} (--json lists all)\n",
               counted(statistics.classes.size() - shown, "more class", "more classes"));
  if (empty > 0) print_text("{} without a target\n", counted(empty, "class", "classes"));
  if (statistics.ignored > 0) print_text("{} of no class\n", counted(statistics.ignored, "target"));
}

}  // namespace

std::string normalize_text(const Dataset& dataset, const DataStatistics& statistics) {
  const auto normalize = normalize_of(dataset, statistics);
  if (!normalize || normalize->first.size() > kMaxNormalized) return "";
  // As many digits as distinguish what fp32 does.
  return fmt::format("{{ mean = [{:.9g}], std = [{:.9g}] }}", fmt::join(normalize->first, ", "),
                     fmt::join(normalize->second, ", "));
}

Json statistics_json(const Dataset& dataset, const DataStatistics& statistics) {
  Json report = {{"data", dataset.describe_stored()},
                 {"samples", dataset.size()},
                 {"x", column_json(statistics.x)},
                 {"lengths", nullptr},
                 {"normalize", nullptr},
                 {"y", nullptr}};
  if (const auto lengths = summary_of(statistics.lengths))
    report["lengths"] = {{"min", lengths->min}, {"median", lengths->median}, {"max", lengths->max}};
  if (const auto normalize = normalize_of(dataset, statistics))
    report["normalize"] = {{"mean", normalize->first}, {"std", normalize->second}};
  if (dataset.target_kind() == TargetKind::classes)
    report["y"] = {{"classes", statistics.classes},
                   {"class_names", dataset.class_names()},
                   {"first_label", dataset.understood().first_label},
                   {"ignored", statistics.ignored}};
  else if (dataset.target_kind() != TargetKind::none)
    report["y"] = column_json(statistics.y);
  return report;
}

void print_statistics(const Dataset& dataset, const DataStatistics& statistics) {
  print_text("{}\n", printable(dataset.describe_stored()));
  if (const auto lengths = summary_of(statistics.lengths))
    print_text("lengths: min {}, median {}, max {}; padding is left out below\n", lengths->min,
               lengths->median, lengths->max);
  print_text("\n");
  print_column(has_one_channel(dataset) ? as_one(statistics.x) : statistics.x, "x", "channel");
  if (dataset.target_kind() == TargetKind::classes) {
    print_text("\n");
    print_classes(dataset, statistics);
  } else if (dataset.target_kind() != TargetKind::none) {
    print_text("\n");
    print_column(statistics.y, "y", "target");
  }
  if (const std::string normalize = normalize_text(dataset, statistics); !normalize.empty())
    print_text("\nnormalize = {}\n", normalize);
}

}  // namespace lockstep

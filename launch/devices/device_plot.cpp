#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "launch/devices/device_report.h"
#include "launch/measure/svg.h"
#include "src/core/counted.h"

namespace lockstep {

namespace {

constexpr double kWidth = 960, kHeight = 400, kTop = 60, kBottom = 310;

/// Ascending, without duplicates.
std::vector<int64_t> batches_of(const std::vector<DevicePoint>& points) {
  std::vector<int64_t> batches;
  for (const DevicePoint& point : points) batches.push_back(point.batch);
  std::ranges::sort(batches);
  batches.erase(std::unique(batches.begin(), batches.end()), batches.end());
  return batches;
}

/// Samples/s of one work: a group of bars for each place, a bar for each batch.
class WorkPanel {
 public:
  WorkPanel(const DeviceResult& result, Work work, const svg::Panel& where)
      : result_(result), work_(work), panel_(where), batches_(batches_of(result.runs.points)) {
    panel_.highest = 0;
    for (const DevicePoint& point : result.runs.points) {
      if (point.work != work) continue;
      points_.push_back(&point);
      if (std::ranges::find(places_, point.place) == places_.end()) places_.push_back(point.place);
      // Room for the speed-up above the bar.
      panel_.highest = std::max(panel_.highest, 1.08 * point.samples_per_s.max);
    }
  }

  std::string draw() const {
    std::string svg = svg::text_at(panel_.middle(), 30, to_string(work_) + ", samples/s");
    if (points_.empty() || panel_.highest <= 0) return svg;
    svg += panel_.grid();
    svg += svg::text_at(panel_.middle(), kBottom + 36, "CPU threads, or GPU");
    const double slot = (panel_.right - panel_.left) / static_cast<double>(places_.size());
    for (size_t i = 0; i < places_.size(); ++i)
      svg += draw_place(places_[i], panel_.left + (static_cast<double>(i) + 0.1) * slot, 0.8 * slot);
    return svg;
  }

  /// What the colours stand for.
  std::string legend() const {
    std::string svg;
    for (size_t i = 0; i < batches_.size(); ++i)
      svg += svg::key(panel_.left + 110 * static_cast<double>(i), kHeight - 8, color_of(batches_[i]),
                      fmt::format("batch {}", batches_[i]));
    return svg;
  }

 private:
  const char* color_of(int64_t batch) const {
    constexpr const char* kColors[] = {svg::kBlue, svg::kOrange, svg::kGreen, svg::kYellow, svg::kGrey};
    const auto number = std::ranges::find(batches_, batch) - batches_.begin();
    return kColors[static_cast<size_t>(number) % std::size(kColors)];
  }

  std::string draw_place(const Place& place, double left, double width) const {
    std::vector<const DevicePoint*> bars;
    for (const DevicePoint* point : points_)
      if (point->place == place) bars.push_back(point);
    std::string svg = svg::text_at(left + width / 2, kBottom + 18,
                                   place.backend == Backend::cpu ? std::to_string(place.threads) : "GPU");
    const double each = width / static_cast<double>(bars.size());
    for (size_t i = 0; i < bars.size(); ++i) {
      const DevicePoint& point = *bars[i];
      const double bar_left = left + (static_cast<double>(i) + 0.05) * each, middle = bar_left + 0.45 * each;
      const double top = panel_.y(point.samples_per_s.max);
      svg += svg::bar(bar_left, panel_.y(point.samples_per_s.median), kBottom, 0.9 * each,
                      color_of(point.batch));
      svg +=
          svg::line(middle, top, middle, panel_.y(point.samples_per_s.min), "#222222", "stroke-width=\"2\"");
      if (const std::optional<double> up = speed_up(result_, point))
        svg += svg::text_at(middle, top - 4, fmt::format("{:.{}f}x", *up, *up < 10 ? 2 : 0));
    }
    return svg;
  }

  const DeviceResult& result_;
  Work work_;
  svg::Panel panel_;
  std::vector<int64_t> batches_;  ///< of both works, so that a batch has one colour
  std::vector<const DevicePoint*> points_;
  std::vector<Place> places_;
};

}  // namespace

std::string devices_plot(const DeviceResult& result) {
  const WorkPanel training(result, Work::training,
                           {.left = 80, .right = 470, .top = kTop, .bottom = kBottom});
  const WorkPanel prediction(result, Work::prediction,
                             {.left = 560, .right = 950, .top = kTop, .bottom = kBottom});
  const std::string note = fmt::format("{}: median of {}, line from min to max, speed-up above", result.model,
                                       counted(result.repeats, "run"));
  return svg::document(fmt::format("{} on {}", result.model, result.cpu), kWidth, kHeight,
                       training.draw() + prediction.draw() + training.legend() +
                           svg::text_at(80, kHeight - 32, note, "start"));
}

}  // namespace lockstep

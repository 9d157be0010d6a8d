#include "launch/scaling/scaling_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "launch/measure/svg.h"

namespace lockstep {

namespace {

const char* color_of(ScalingMode mode) { return mode == ScalingMode::weak ? svg::kBlue : svg::kOrange; }

constexpr double kWidth = 960, kHeight = 400, kTop = 50, kBottom = 340;

/// Speed-up over ranks, on logarithmic axes.
class SpeedUpPanel {
 public:
  explicit SpeedUpPanel(const ScalingResult& result) : result_(result) {
    for (const ScalingPoint& point : result.points) {
      const double up = speed_up_of(point);
      include(point.ranks, up * point.samples_per_s.min / point.samples_per_s.median);
      include(point.ranks, up * point.samples_per_s.max / point.samples_per_s.median);
    }
    for (const PredictedPoint& point : result.predictions) include(point.ranks, speed_up_of(point));
  }

  std::string draw() const {
    std::string svg = svg::text_at((kLeft + kRight) / 2, 30, "speed-up");
    const int last = static_cast<int>(std::ceil(max_log_ranks_));
    const int every = last > 8 ? 2 : 1;
    for (int power = 0; power <= last; power += every) {
      const double ranks = std::exp2(power);
      svg += svg::line(x(ranks), kTop, x(ranks), kBottom, svg::kGrid);
      svg += svg::text_at(x(ranks), kBottom + 18, fmt::format("{:.0f}", ranks));
    }
    const int lowest = static_cast<int>(lowest_), highest = static_cast<int>(highest_);
    for (int power = lowest; power <= highest; power += highest - lowest > 8 ? 2 : 1) {
      const double times = std::exp2(power);
      svg += svg::line(kLeft, y(times), kRight, y(times), svg::kGrid);
      svg += svg::text_at(kLeft - 8, y(times) + 4, fmt::format("{:g}", times), "end");
    }
    svg += svg::text_at((kLeft + kRight) / 2, kBottom + 38, "ranks");
    svg +=
        svg::line(x(1), y(1), x(std::exp2(last)), y(std::exp2(last)), svg::kGrey, "stroke-dasharray=\"2 3\"");
    double legend = kTop + 14;
    const auto entry = [&](const char* color, const std::string& text) {
      svg += svg::key(kLeft + 12, legend, color, text);
      legend += 18;
    };
    entry(svg::kGrey, "ideal");
    for (const ScalingMode mode : {ScalingMode::weak, ScalingMode::strong}) {
      const std::string measured = draw_measured(mode), predicted = draw_predicted(mode);
      svg += predicted + measured;
      if (!measured.empty()) entry(color_of(mode), to_string(mode) + ", measured (line from min to max)");
      if (!predicted.empty()) entry(color_of(mode), to_string(mode) + ", predicted (hollow, dashed)");
    }
    return svg;
  }

 private:
  static constexpr double kLeft = 60, kRight = 450;

  void include(int64_t ranks, double times) {
    max_log_ranks_ = std::max(max_log_ranks_, std::log2(static_cast<double>(ranks)));
    if (!(times > 0)) return;
    lowest_ = std::min(lowest_, std::floor(std::log2(times)));
    highest_ = std::max({highest_, std::ceil(max_log_ranks_), std::ceil(std::log2(times))});
  }
  /// The smallest number of ranks, which may exceed one, is on the ideal line.
  double speed_up_of(const ScalingPoint& point) const {
    return efficiency(result_, point) * static_cast<double>(point.ranks);
  }
  static double speed_up_of(const PredictedPoint& point) {
    return point.efficiency * static_cast<double>(point.ranks);
  }
  double x(double ranks) const {
    return kLeft + (kRight - kLeft) * std::log2(ranks) / std::ceil(max_log_ranks_);
  }
  /// More ranks may also be slower than one.
  double y(double times) const {
    return kBottom - (kBottom - kTop) * (std::log2(std::max(times, std::exp2(lowest_))) - lowest_) /
                         (highest_ - lowest_);
  }

  std::string draw_measured(ScalingMode mode) const {
    std::string svg, path;
    for (const ScalingPoint& point : result_.points) {
      if (point.mode != mode) continue;
      const auto ranks = static_cast<double>(point.ranks);
      const double up = speed_up_of(point), one = up / point.samples_per_s.median;
      svg += svg::line(x(ranks), y(one * point.samples_per_s.min), x(ranks), y(one * point.samples_per_s.max),
                       color_of(mode), "stroke-width=\"2\"");
      svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" fill=\"{}\"/>\n", x(ranks), y(up),
                         color_of(mode));
      path += fmt::format("{:.1f},{:.1f} ", x(ranks), y(up));
    }
    return path.empty() ? "" : polyline(path, mode, "") + svg;
  }

  std::string draw_predicted(ScalingMode mode) const {
    std::string svg, path;
    for (const PredictedPoint& point : result_.predictions) {
      if (point.mode != mode) continue;
      const auto ranks = static_cast<double>(point.ranks);
      const double up = speed_up_of(point);
      svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"5\" fill=\"white\" stroke=\"{}\"/>\n",
                         x(ranks), y(up), color_of(mode));
      path += fmt::format("{:.1f},{:.1f} ", x(ranks), y(up));
    }
    return path.empty() ? "" : polyline(path, mode, "stroke-dasharray=\"6 4\"") + svg;
  }

  static std::string polyline(const std::string& path, ScalingMode mode, const char* more) {
    return fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" {}/>\n", path, color_of(mode),
                       more);
  }

  const ScalingResult& result_;
  // Exponents of two.
  double max_log_ranks_ = 1;         ///< ranks
  double lowest_ = 0, highest_ = 1;  ///< integers that enclose all speed-ups
};

/// The parts of the step time of each point.
class StepPanel {
 public:
  explicit StepPanel(const ScalingResult& result) {
    for (const ScalingMode mode : {ScalingMode::weak, ScalingMode::strong}) {
      for (const ScalingPoint& point : result.points)
        if (point.mode == mode)
          bars_.push_back(
              {point.ranks, mode, false, point.compute_ms, point.wait_ms, point.communication_ms});
      for (const PredictedPoint& point : result.predictions)
        if (point.mode == mode)
          bars_.push_back({point.ranks, mode, true, 1e3 * point.cost.compute, 1e3 * point.cost.wait,
                           1e3 * point.cost.exposed});
    }
    for (const Bar& bar : bars_)
      panel_.highest = std::max(panel_.highest, bar.compute + bar.wait + bar.communication);
  }

  std::string draw() const {
    if (bars_.empty() || panel_.highest <= 0) return "";
    std::string svg = svg::text_at(panel_.middle(), 30, "a step's time, ms");
    svg += panel_.grid();
    const double slot = (panel_.right - panel_.left) / static_cast<double>(bars_.size()), width = 0.7 * slot;
    for (size_t i = 0; i < bars_.size(); ++i) {
      const Bar& each = bars_[i];
      const double left = panel_.left + (static_cast<double>(i) + 0.15) * slot;
      const char* look = each.predicted ? "fill-opacity=\"0.45\"" : "";
      const double waiting = each.compute + each.wait;
      svg += svg::bar(left, panel_.y(each.compute), panel_.y(0), width, svg::kGreen, look);
      svg += svg::bar(left, panel_.y(waiting), panel_.y(each.compute), width, svg::kYellow, look);
      svg += svg::bar(left, panel_.y(waiting + each.communication), panel_.y(waiting), width, svg::kOrange,
                      look);
      svg += svg::text_at(left + width / 2, kBottom + 18, std::to_string(each.ranks));
      if (i == 0 || each.mode != bars_[i - 1].mode)
        svg += svg::text_at(left, kBottom + 36, to_string(each.mode) + " (pale: predicted)", "start");
    }
    svg += svg::key(panel_.left, kBottom + 54, svg::kGreen, "compute") +
           svg::key(panel_.left + 100, kBottom + 54, svg::kYellow, "wait for slowest") +
           svg::key(panel_.left + 240, kBottom + 54, svg::kOrange, "exposed communication");
    return svg;
  }

 private:
  struct Bar {
    int64_t ranks = 0;
    ScalingMode mode = ScalingMode::weak;
    bool predicted = false;
    double compute = 0, wait = 0, communication = 0;
  };
  svg::Panel panel_{.left = 530, .right = 940, .top = kTop, .bottom = kBottom, .highest = 0};  // ms
  std::vector<Bar> bars_;
};

}  // namespace

std::string scaling_plot(const ScalingResult& result) {
  return svg::document(result.title, kWidth, kHeight, SpeedUpPanel(result).draw() + StepPanel(result).draw());
}

}  // namespace lockstep

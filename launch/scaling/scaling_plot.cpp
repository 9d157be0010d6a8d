#include "launch/scaling/scaling_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace lockstep {

namespace {

// Colours that are distinguishable with any colour vision (Okabe and Ito 2008).
constexpr const char* kBlue = "#0072b2";
constexpr const char* kOrange = "#d55e00";
constexpr const char* kGreen = "#009e73";
constexpr const char* kYellow = "#e69f00";
constexpr const char* kGrey = "#999999";

const char* color_of(ScalingMode mode) { return mode == ScalingMode::weak ? kBlue : kOrange; }

constexpr double kWidth = 960, kHeight = 400, kTop = 50, kBottom = 340;

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) result += c == '&' ? "&amp;" : c == '<' ? "&lt;" : std::string(1, c);
  return result;
}

std::string text_at(double x, double y, const std::string& text, const char* anchor = "middle") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor,
                     escaped(text));
}

std::string line(double x1, double y1, double x2, double y2, const char* color, const char* more = "") {
  return fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\" {}/>\n", x1,
                     y1, x2, y2, color, more);
}

std::string bar(double x, double top, double bottom, double width, const char* color, const char* more = "") {
  return fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.2f}\" fill=\"{}\" {}/>\n",
                     x, top, width, std::max(0.0, bottom - top), color, more);
}

/// A legend entry: a coloured square and its label.
std::string key(double x, double y, const char* color, const std::string& text) {
  return bar(x, y - 10, y, 10, color) + text_at(x + 16, y, text, "start");
}

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
    std::string svg = text_at((kLeft + kRight) / 2, 30, "speed-up");
    const int last = static_cast<int>(std::ceil(max_log_ranks_));
    const int every = last > 8 ? 2 : 1;
    for (int power = 0; power <= last; power += every) {
      const double ranks = std::exp2(power);
      svg += line(x(ranks), kTop, x(ranks), kBottom, "#e5e5e5");
      svg += text_at(x(ranks), kBottom + 18, fmt::format("{:.0f}", ranks));
    }
    const int lowest = static_cast<int>(lowest_), highest = static_cast<int>(highest_);
    for (int power = lowest; power <= highest; power += highest - lowest > 8 ? 2 : 1) {
      const double times = std::exp2(power);
      svg += line(kLeft, y(times), kRight, y(times), "#e5e5e5");
      svg += text_at(kLeft - 8, y(times) + 4, fmt::format("{:g}", times), "end");
    }
    svg += text_at((kLeft + kRight) / 2, kBottom + 38, "ranks");
    svg += line(x(1), y(1), x(std::exp2(last)), y(std::exp2(last)), kGrey, "stroke-dasharray=\"2 3\"");
    double legend = kTop + 14;
    const auto entry = [&](const char* color, const std::string& text) {
      svg += key(kLeft + 12, legend, color, text);
      legend += 18;
    };
    entry(kGrey, "ideal");
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
      svg += line(x(ranks), y(one * point.samples_per_s.min), x(ranks), y(one * point.samples_per_s.max),
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
    for (const Bar& bar : bars_) highest_ = std::max(highest_, bar.compute + bar.wait + bar.communication);
  }

  std::string draw() const {
    if (bars_.empty() || highest_ <= 0) return "";
    std::string svg = text_at((kLeft + kRight) / 2, 30, "a step's time, ms");
    const double step = round_step(highest_ / 4);
    for (int i = 0; i * step <= highest_; ++i) {
      svg += line(kLeft, y(i * step), kRight, y(i * step), "#e5e5e5");
      svg += text_at(kLeft - 8, y(i * step) + 4, fmt::format("{:g}", i * step), "end");
    }
    const double slot = (kRight - kLeft) / static_cast<double>(bars_.size()), width = 0.7 * slot;
    for (size_t i = 0; i < bars_.size(); ++i) {
      const Bar& each = bars_[i];
      const double left = kLeft + (static_cast<double>(i) + 0.15) * slot;
      const char* look = each.predicted ? "fill-opacity=\"0.45\"" : "";
      const double waiting = each.compute + each.wait;
      svg += bar(left, y(each.compute), y(0), width, kGreen, look);
      svg += bar(left, y(waiting), y(each.compute), width, kYellow, look);
      svg += bar(left, y(waiting + each.communication), y(waiting), width, kOrange, look);
      svg += text_at(left + width / 2, kBottom + 18, std::to_string(each.ranks));
      if (i == 0 || each.mode != bars_[i - 1].mode)
        svg += text_at(left, kBottom + 36, to_string(each.mode) + " (pale: predicted)", "start");
    }
    svg += key(kLeft, kBottom + 54, kGreen, "compute") +
           key(kLeft + 100, kBottom + 54, kYellow, "wait for slowest") +
           key(kLeft + 240, kBottom + 54, kOrange, "exposed communication");
    return svg;
  }

 private:
  struct Bar {
    int64_t ranks = 0;
    ScalingMode mode = ScalingMode::weak;
    bool predicted = false;
    double compute = 0, wait = 0, communication = 0;
  };
  static constexpr double kLeft = 530, kRight = 940;

  double y(double ms) const { return kBottom - (kBottom - kTop) * ms / highest_; }

  /// 1, 2 or 5 times a power of ten, near `about`.
  static double round_step(double about) {
    const double power = std::pow(10, std::floor(std::log10(about)));
    for (const double factor : {1.0, 2.0, 5.0})
      if (factor * power >= about) return factor * power;
    return 10 * power;
  }

  std::vector<Bar> bars_;
  double highest_ = 0;
};

}  // namespace

std::string scaling_plot(const ScalingResult& result) {
  return fmt::format(
             "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
             "font-family=\"sans-serif\" font-size=\"12\" fill=\"#222222\">\n"
             "<title>{2}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
             kWidth, kHeight, escaped(result.title)) +
         SpeedUpPanel(result).draw() + StepPanel(result).draw() + "</svg>\n";
}

}  // namespace lockstep

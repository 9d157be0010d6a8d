#include "launch/measure/svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace lockstep::svg {

namespace {

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) result += c == '&' ? "&amp;" : c == '<' ? "&lt;" : std::string(1, c);
  return result;
}

/// 1, 2 or 5 times a power of ten, near `about`.
double round_step(double about) {
  const double power = std::pow(10, std::floor(std::log10(about)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (factor * power >= about) return factor * power;
  return 10 * power;
}

}  // namespace

std::string document(const std::string& title, double width, double height, const std::string& elements) {
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
      "font-family=\"sans-serif\" font-size=\"12\" fill=\"#222222\">\n"
      "<title>{2}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{3}</svg>\n",
      width, height, escaped(title), elements);
}

std::string text_at(double x, double y, const std::string& text, const char* anchor) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor,
                     escaped(text));
}

std::string line(double x1, double y1, double x2, double y2, const char* color, const char* more) {
  return fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\" {}/>\n", x1,
                     y1, x2, y2, color, more);
}

std::string bar(double x, double top, double bottom, double width, const char* color, const char* more) {
  return fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.2f}\" fill=\"{}\" {}/>\n",
                     x, top, width, std::max(0.0, bottom - top), color, more);
}

std::string key(double x, double y, const char* color, const std::string& text) {
  return bar(x, y - 10, y, 10, color) + text_at(x + 16, y, text, "start");
}

std::string Panel::grid() const {
  std::string svg;
  const double step = round_step(highest / 4);
  for (int i = 0; i * step <= highest; ++i) {
    svg += line(left, y(i * step), right, y(i * step), kGrid);
    svg += text_at(left - 8, y(i * step) + 4, fmt::format("{:.10g}", i * step), "end");
  }
  return svg;
}

}  // namespace lockstep::svg

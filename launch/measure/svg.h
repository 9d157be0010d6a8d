#pragma once

#include <string>

/// What plots of measurements draw, as elements of SVG. Coordinates are in pixels, y downwards.
namespace lockstep::svg {

// Colours that are distinguishable with any colour vision (Okabe and Ito 2008).
inline constexpr const char* kBlue = "#0072b2";
inline constexpr const char* kOrange = "#d55e00";
inline constexpr const char* kGreen = "#009e73";
inline constexpr const char* kYellow = "#e69f00";
inline constexpr const char* kGrey = "#999999";
inline constexpr const char* kGrid = "#e5e5e5";

/// The whole picture, with a title that viewers show.
std::string document(const std::string& title, double width, double height, const std::string& elements);

/// anchor: whether x is the "start", "middle" or "end" of the text.
std::string text_at(double x, double y, const std::string& text, const char* anchor = "middle");
/// more: further attributes.
std::string line(double x1, double y1, double x2, double y2, const char* color, const char* more = "");
std::string bar(double x, double top, double bottom, double width, const char* color, const char* more = "");
/// A legend entry: a coloured square and its label.
std::string key(double x, double y, const char* color, const std::string& text);

/// A panel whose vertical axis is linear, from zero at the bottom to `highest` at the top.
struct Panel {
  double left = 0, right = 0, top = 0, bottom = 0;
  double highest = 1;  ///< above zero

  double middle() const { return (left + right) / 2; }
  double y(double value) const { return bottom - (bottom - top) * value / highest; }
  /// Horizontal lines at round values, with their numbers left of the panel.
  std::string grid() const;
};

}  // namespace lockstep::svg

#pragma once

#include <cstddef>
#include <string>

#include "launch/process/environment.h"

namespace lockstep {

/// A line of standard output that is redrawn in place on a terminal, at most 80 columns and never wrapped,
/// even if the window is resized. A stop signal removes it.
class DrawnLine {
 public:
  explicit DrawnLine(const Environment& environment) : environment_(environment) {}
  /// Erases it.
  ~DrawnLine() { clear(); }
  DrawnLine(const DrawnLine&) = delete;
  DrawnLine& operator=(const DrawnLine&) = delete;

  /// The maximum width of a line.
  int columns() const;
  void draw(const std::string& line);
  /// Erases it, so that other lines can be printed.
  void clear();

 private:
  Environment environment_;
  size_t drawn_ = 0;  ///< its length
};

/// The sequence that erases a line of `characters` before the cursor, on a terminal of `columns`: one that
/// has become narrower shows the line in several rows.
std::string erased_line(size_t characters, int columns);

}  // namespace lockstep

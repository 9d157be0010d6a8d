#include "launch/report/drawn_line.h"

#include <fmt/format.h>

#include <algorithm>

#include "launch/process/stop_signals.h"
#include "launch/report/report.h"
#include "src/core/console.h"

namespace lockstep {

std::string erased_line(size_t characters, int columns) {
  const size_t width = static_cast<size_t>(std::max(columns, 1));
  const size_t above = characters == 0 ? 0 : (characters - 1) / width;
  return (above > 0 ? fmt::format("\x1b[{}A", above) : "") + "\r\x1b[J";
}

int DrawnLine::columns() const {
  // The last column stays free: a character there makes some terminals wrap.
  return std::min(current_columns(environment_), 80) - 1;
}

void DrawnLine::clear() {
  if (drawn_ == 0) return;
  // A stop signal has removed the line.
  if (stop_signal().empty()) {
    write_text(stdout, erased_line(drawn_, current_columns(environment_)));
    flush_text(stdout);
  }
  drawn_ = 0;
  set_line_drawn(false);
}

void DrawnLine::draw(const std::string& line) {
  // The line has been removed, and a launcher may kill this process before it removes another.
  if (!stop_signal().empty()) return;
  write_text(stdout, (drawn_ > 0 ? erased_line(drawn_, current_columns(environment_)) : "") + line);
  flush_text(stdout);
  drawn_ = line.size();
  set_line_drawn(true);
  if (stop_signal().empty()) return;
  // The signal may have arrived before there was a line to remove.
  write_text(stdout, erased_line(0, 1));
  flush_text(stdout);
}

}  // namespace lockstep

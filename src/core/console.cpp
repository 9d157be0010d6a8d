#include "src/core/console.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

namespace lockstep {

namespace {

std::atomic<int> first_output_error = 0;

void remember(std::FILE* stream, bool written) {
  int none = 0;
  if (!written && stream == stdout)
    first_output_error.compare_exchange_strong(none, errno != 0 ? errno : EIO);
}

/// The number of UTF-8 characters, which take one column each in most scripts.
size_t columns_in(std::string_view text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string wrapped_line(std::string_view line, size_t columns) {
  if (columns_in(line) <= columns) return std::string(line);
  const size_t margin = std::min(line.find_first_not_of(' '), line.size());
  const std::string indent(std::min(margin + 2, columns / 2), ' ');
  std::string out, row(line.substr(0, margin));
  bool empty = true;  // nothing but the margin in this row
  for (size_t at = margin; at < line.size();) {
    // A word with its preceding spaces, which are dropped at the beginning of a row.
    const size_t word = std::min(line.find_first_not_of(' ', at), line.size());
    const size_t end = std::min(line.find(' ', word), line.size());
    if (!empty && columns_in(row) + columns_in(line.substr(at, end - at)) > columns) {
      out += row + "\n";
      row = indent;
      at = word;
    }
    row += line.substr(at, end - at);
    empty = false;
    at = end;
  }
  return out + row;
}

}  // namespace

void keep_standard_streams() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(descriptor, F_GETFD) >= 0) continue;
    // The lowest free number is this one.
    [[maybe_unused]] const int opened = open("/dev/null", O_RDWR);
  }
}

void write_text(std::FILE* stream, std::string_view text) {
  errno = 0;
  remember(stream, std::fwrite(text.data(), 1, text.size(), stream) == text.size());
}

void write_lines(std::FILE* stream, std::string_view text) {
  const int columns = terminal_columns(stream);
  if (columns > 0)
    write_text(stream, wrapped_lines(text, columns));
  else
    write_text(stream, text);
}

void flush_text(std::FILE* stream) {
  errno = 0;
  remember(stream, std::fflush(stream) == 0);
}

int output_error() { return first_output_error; }

int terminal_columns(std::FILE* stream) {
  winsize size{};
  return ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

std::string wrapped_lines(std::string_view text, int columns) {
  std::string out;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    out += wrapped_line(text.substr(0, end), static_cast<size_t>(columns));
    if (end < text.size()) out += '\n';
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

}  // namespace lockstep

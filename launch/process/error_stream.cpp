#include "launch/process/error_stream.h"

#include <algorithm>
#include <array>
#include <utility>

namespace lockstep {

namespace {

/// The message of "error: ..." or "[rank 3] error: ..."; "" for other lines, including those of libraries.
std::string error_of(std::string_view line) {
  constexpr std::string_view kRank = "[rank ", kError = "error: ";
  if (line.starts_with(kRank)) {
    const size_t number_end = line.find_first_not_of("0123456789", kRank.size());
    if (number_end == std::string_view::npos || !line.substr(number_end).starts_with("] ")) return "";
    line.remove_prefix(number_end + 2);
  }
  return line.starts_with(kError) ? std::string(line.substr(kError.size())) : "";
}

/// Open MPI encloses its paragraphs between two such lines.
bool is_ruler(std::string_view line) {
  return line.size() >= 40 && line.find_first_not_of('-') == std::string_view::npos;
}

/// Whether a line says only that ranks ended, or that others reported the same.
bool repeats(const std::string& line) {
  constexpr std::array<std::string_view, 6> kPhrases = {
      "MPI_ABORT was invoked on rank",    "exited with non-zero status",
      "Primary job  terminated normally", "has exited due to process rank",
      "help-mpi-api.txt / mpi-abort",     "_base_help_aggregate\" to 0 to see all help"};
  return std::ranges::any_of(kPhrases,
                             [&](std::string_view phrase) { return line.find(phrase) != std::string::npos; });
}

/// More lines without an end are not a paragraph.
constexpr size_t kMaxBlockLines = 40;

}  // namespace

std::string ErrorStream::pass(std::string_view text) {
  for (const char c : text) {
    if (c == '\n')
      end_line();
    else if (c != '\0')  // Open MPI 5 writes one after each paragraph
      line_ += c;
  }
  // Incomplete lines, such as prompts, are printed at once, except the beginnings of rulers and "[host:123]
  // ...".
  if (block_.empty() && !line_.empty() && line_[0] != '-' && line_[0] != '[')
    ready_ += line_.substr(std::exchange(passed_, line_.size()));
  return std::exchange(ready_, "");
}

std::string ErrorStream::finish() {
  end_block();
  if (first_error_.empty()) ready_ += std::exchange(held_, "");
  ready_ += line_.substr(passed_);
  return std::exchange(ready_, "");
}

void ErrorStream::end_line() {
  if (first_error_.empty()) first_error_ = error_of(line_);
  if (!block_.empty() || is_ruler(line_)) {
    block_.push_back(line_);
    if ((block_.size() > 1 && is_ruler(line_)) || block_.size() > kMaxBlockLines) end_block();
  } else if (!repeats(line_)) {
    ready_ += line_.substr(passed_) + "\n";
  } else if (first_error_.empty()) {
    held_ += line_.substr(passed_) + "\n";
  }
  line_.clear();
  passed_ = 0;
}

void ErrorStream::end_block() {
  // Output of Open MPI 5 arrives before that of the rank it is about.
  const bool repeated = std::ranges::any_of(block_, repeats);
  for (const std::string& line : block_) {
    // Another rank may have written into it.
    if (!repeated || !error_of(line).empty())
      ready_ += line + "\n";
    else if (first_error_.empty())
      held_ += line + "\n";
  }
  block_.clear();
}

}  // namespace lockstep

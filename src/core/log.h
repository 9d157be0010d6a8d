#pragma once

#include <fmt/core.h>

#include <string>
#include <utility>

namespace lockstep {

enum class LogLevel { info, warning, error };

/// Sets the rank of this process for the log. Rank 0 prints information; every rank prints warnings and
/// errors, which carry "[rank R]" when there is more than one rank.
void set_log_rank(int rank, int world_size);

/// Also appends every line to this file (rank 0's run log), including the lines logged before this call.
/// Throws Error(data) if it cannot be opened.
void set_log_file(const std::string& path);

/// Sends information to standard error from now on, because standard output carries a document (--json).
void log_information_to_stderr();

/// Writes one line: information to standard output, the rest to standard error.
void log_line(LogLevel level, const std::string& text);

template <typename... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::info, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::warning, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::error, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace lockstep

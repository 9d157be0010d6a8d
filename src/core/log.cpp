#include "src/core/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "src/core/console.h"
#include "src/core/error.h"
#include "src/core/text/printable.h"

namespace lockstep {

namespace {

/// A line for the file.
struct Entry {
  spdlog::log_clock::time_point time;
  spdlog::level::level_enum level;
  std::string text;

  void write_to(spdlog::logger& file) const { file.log(time, spdlog::source_loc{}, level, text); }
};

struct LogState {
  std::mutex mutex;
  int rank = 0;
  int world_size = 1;
  std::FILE* information = stdout;
  std::shared_ptr<spdlog::logger> file;
  std::vector<Entry> early;  // until there is a file
};

LogState& log_state() {
  static LogState state;
  return state;
}

}  // namespace

void set_log_rank(int rank, int world_size) {
  const std::scoped_lock lock(log_state().mutex);
  log_state().rank = rank;
  log_state().world_size = world_size;
}

void set_log_file(const std::string& path) {
  try {
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path);
    auto logger = std::make_shared<spdlog::logger>("file", std::move(sink));
    logger->set_pattern("%Y-%m-%d %H:%M:%S.%e %l %v");
    logger->flush_on(spdlog::level::info);
    // A full disk must not end a run because of its log: the checkpoint writer reports it.
    logger->set_error_handler([](const std::string&) {});
    LogState& state = log_state();
    const std::scoped_lock lock(state.mutex);
    state.file = std::move(logger);
    for (const Entry& entry : std::exchange(state.early, {})) entry.write_to(*state.file);
  } catch (const spdlog::spdlog_ex& e) {
    fail(ExitCode::data,
         "cannot open the log file {}: {}. Check the folder's permissions and the free space.", path,
         e.what());
  }
}

void log_information_to_stderr() {
  const std::scoped_lock lock(log_state().mutex);
  log_state().information = stderr;
}

void log_line(LogLevel level, const std::string& raw_text) {
  // The text may contain names from files and messages of libraries.
  const std::string text = printable(raw_text, /*keep_lines=*/true);
  LogState& state = log_state();
  const std::scoped_lock lock(state.mutex);
  if (level == LogLevel::info && state.rank != 0) return;
  const char* kind = level == LogLevel::error ? "error: " : level == LogLevel::warning ? "warning: " : "";
  const std::string who =
      level != LogLevel::info && state.world_size > 1 ? fmt::format("[rank {}] ", state.rank) : "";
  // One call per line, so that lines of several ranks do not interleave.
  std::FILE* stream = level == LogLevel::info ? state.information : stderr;
  const std::string line = fmt::format("{}{}{}\n", who, kind, text);
  write_lines(stream, line);
  flush_text(stream);
  Entry entry{spdlog::log_clock::now(),
              level == LogLevel::error     ? spdlog::level::err
              : level == LogLevel::warning ? spdlog::level::warn
                                           : spdlog::level::info,
              who + text};
  if (state.file)
    entry.write_to(*state.file);
  else
    state.early.push_back(std::move(entry));
}

}  // namespace lockstep

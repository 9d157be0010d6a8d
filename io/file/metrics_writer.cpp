#include "io/file/metrics_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <system_error>

#include "io/file/atomic_file.h"
#include "src/core/error.h"
#include "src/core/log.h"
#include "src/core/text/json.h"

namespace lockstep {
namespace {

/// Whether a line of an earlier run is of a step before the one from which the run resumes.
bool is_kept(const std::string& line, int64_t resumed_step) {
  const auto object = try_parse_json(line);
  if (!object.is_object()) return false;
  const auto step = object.find("step");
  return step != object.end() && step->is_number_integer() && step->get<int64_t>() <= resumed_step;
}

void remove_later_lines(const std::string& path, int64_t resumed_step) {
  std::ifstream lines(path);
  if (!lines) return;
  AtomicFile kept(path);
  for (std::string line; std::getline(lines, line);) {
    if (!is_kept(line, resumed_step)) continue;
    line += '\n';
    kept.write(std::as_bytes(std::span(line)));
  }
  kept.commit();
}

/// Writes everything; returns errno on failure, else 0.
int write_all(int descriptor, const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t written = ::write(descriptor, text.data() + done, text.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    done += static_cast<size_t>(written);
  }
  return 0;
}

}  // namespace

MetricsWriter::MetricsWriter(const std::string& path, std::optional<int64_t> resumed_step) : path_(path) {
  if (resumed_step) remove_later_lines(path, *resumed_step);
  descriptor_ =
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (resumed_step ? 0 : O_TRUNC), 0666);
  if (descriptor_ < 0)
    fail(ExitCode::data, "{}: cannot open the file to write: {}. Choose a run folder that you may write to.",
         path, std::generic_category().message(errno));
  size_ = ::lseek(descriptor_, 0, SEEK_END);
}

MetricsWriter::~MetricsWriter() { ::close(descriptor_); }

void MetricsWriter::write(const nlohmann::ordered_json& object) {
  // A name that is not UTF-8 must not end the run either.
  const std::string line = to_text(object) + '\n';
  if (const int error = write_all(descriptor_, line); error != 0) {
    // A partial line would make the file unreadable.
    const bool whole = ::ftruncate(descriptor_, size_) == 0;
    if (lost_++ == 0)
      log_warning("{}: cannot write: {}. Training continues; its metrics are lost until there is room{}.",
                  path_, std::generic_category().message(error),
                  whole ? "" : ", and the last line is incomplete");
    return;
  }
  size_ += static_cast<int64_t>(line.size());
  if (lost_ > 0) log_warning("{}: can be written again; {} lines were lost.", path_, std::exchange(lost_, 0));
}

}  // namespace lockstep

#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

namespace lockstep {

/// Writes metrics.jsonl: one JSON object a line, handed to the operating system at once, so that another
/// program can follow the run. Numbers that are not finite become null, which JSON has instead of them.
class MetricsWriter {
 public:
  /// Begins an empty file. With resumed_step the file is continued: lines of later steps, which will be
  /// written again, and a line that a killed run left unfinished are removed. Throws Error(data) if the file
  /// cannot be written.
  MetricsWriter(const std::string& path, std::optional<int64_t> resumed_step);
  ~MetricsWriter();
  MetricsWriter(const MetricsWriter&) = delete;
  MetricsWriter& operator=(const MetricsWriter&) = delete;

  /// Appends a line; the keys keep their order. A full disk does not end a training: the line is dropped
  /// whole and a warning says so, once until writing succeeds again.
  void write(const nlohmann::ordered_json& object);

 private:
  std::string path_;
  int descriptor_ = -1;
  int64_t size_ = 0;  ///< bytes of whole lines
  int64_t lost_ = 0;  ///< lines dropped since the last success
};

}  // namespace lockstep

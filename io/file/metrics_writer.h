#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

namespace lockstep {

/// Writes metrics.jsonl: one JSON object per line, passed to the operating system at once, so that another
/// program can follow the run. Non-finite numbers become null, because JSON cannot represent them.
class MetricsWriter {
 public:
  /// Starts an empty file. With resumed_step, continues the file: removes lines of later steps, which will be
  /// written again, and an incomplete line left by a killed run. Throws Error(data) if the file cannot be
  /// written.
  MetricsWriter(const std::string& path, std::optional<int64_t> resumed_step);
  ~MetricsWriter();
  MetricsWriter(const MetricsWriter&) = delete;
  MetricsWriter& operator=(const MetricsWriter&) = delete;

  /// Appends a line; the keys keep their order. A full disk does not end the run: the whole line is dropped,
  /// with one warning until writing succeeds again.
  void write(const nlohmann::ordered_json& object);

 private:
  std::string path_;
  int descriptor_ = -1;
  int64_t size_ = 0;  ///< bytes of complete lines
  int64_t lost_ = 0;  ///< lines dropped since the last success
};

}  // namespace lockstep

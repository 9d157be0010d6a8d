#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "launch/config/config.h"
#include "launch/run/run_lock.h"
#include "src/train/run/events.h"

namespace lockstep {

/// The absolute path of a run's folder: config.run.dir, else runs/NAME in the current folder. If runs/NAME
/// contains another run, a new run gets runs/NAME-2, -3, ..., and `resume` gets the newest of them. A folder
/// named by the user is refused if a new run would mix with an old one. Throws Error(usage or data). Creates
/// nothing.
std::string choose_run_folder(const Config& config, bool resume);

/// Locks that folder (RunLock). If another process holds runs/NAME, a new run gets the next number. Throws
/// Error(usage) naming the other process if it holds a folder named by the user or that of a run to resume.
std::unique_ptr<RunLock> take_run_folder(const Config& config, bool resume);

/// Creates the folder with its config.toml and opens log.txt. Throws Error(data) with the system's reason.
void make_run_folder(const std::string& folder, const std::string& config_text);

/// Lines of metrics.jsonl (docs/reference.md).
nlohmann::ordered_json metrics_line(const StepEvent& event);
nlohmann::ordered_json metrics_line(const PaceEvent& event);
nlohmann::ordered_json metrics_line(const EpochEvent& event);
nlohmann::ordered_json metrics_line(const EndEvent& event);

}  // namespace lockstep

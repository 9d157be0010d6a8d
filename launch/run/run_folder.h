#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "launch/config/config.h"
#include "launch/run/run_lock.h"
#include "src/train/run/events.h"

namespace lockstep {

/// The folder of a run: config.run.dir, else runs/NAME in the current folder. When runs/NAME holds another
/// run, a new run gets runs/NAME-2, -3, ..., and `resume` gets the newest of them; a folder that was named is
/// refused when a new run would mix with an old one. Absolute. Throws Error(usage or data); makes nothing.
std::string choose_run_folder(const Config& config, bool resume);

/// Takes such a folder, so that no other process has it (RunLock): when another one has runs/NAME just now, a
/// new run gets the next number. A run that is to go on where another process has the folder is refused with
/// Error(usage), which names that process.
std::unique_ptr<RunLock> take_run_folder(const Config& config, bool resume);

/// Makes the folder with its config.toml and opens log.txt. Throws Error(data) with the system's reason.
void make_run_folder(const std::string& folder, const std::string& config_text);

/// Lines of metrics.jsonl (docs/reference.md).
nlohmann::ordered_json metrics_line(const StepEvent& event);
nlohmann::ordered_json metrics_line(const EpochEvent& event);
nlohmann::ordered_json metrics_line(const EndEvent& event);

}  // namespace lockstep

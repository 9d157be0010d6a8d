#pragma once

#include <string>

namespace lockstep {

/// The tail of an error about a path that is neither a checkpoint nor a run folder, which suggests a run, ".
/// Did you mean 'runs/small'?": the one that contains the path, the newest below it, or one with a similar
/// name there or in runs/; "" if there is none.
std::string run_suggestion(const std::string& path);

}  // namespace lockstep

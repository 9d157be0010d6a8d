#pragma once

#include <string>

namespace lockstep {

/// The tail of an error about a path that names neither a checkpoint nor a run folder: the run that is
/// probably meant, ". Did you mean 'runs/small'?": the one that the path lies in, the newest below it, or one
/// with a name like it there or in runs/; "" when there is none.
std::string run_suggestion(const std::string& path);

}  // namespace lockstep

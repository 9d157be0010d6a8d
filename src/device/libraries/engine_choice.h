#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace lockstep {

/// Several engines or kernels for one operation, which differ in their time and in the last bits of their
/// results.
struct EngineChoice {
  std::string operation;      ///< in words: all that distinguishes it from others
  size_t engines;             ///< how many, at least one; the first runs if nobody chooses
  double preparing_seconds;   ///< that it took to make them ready
  std::vector<size_t> bytes;  ///< of each piece of memory on the device that a run needs
  /// Enqueues a run on the compute stream. Throws Error if the engine fails.
  std::function<void(size_t engine, const std::vector<void*>& memory)> run;
};

/// Returns the place of the engine to use.
using ChooseEngine = std::function<size_t(const EngineChoice&)>;

}  // namespace lockstep

#pragma once

#include <memory>

#include "src/device/exec.h"

namespace lockstep {

/// A point in time in the work of a GPU, measured by the GPU itself; on the CPU, the time of the call.
class Timestamp {
 public:
  explicit Timestamp(Exec exec);
  ~Timestamp();
  Timestamp(Timestamp&&) noexcept;

  enum class Of { compute, communication };
  /// Records when everything enqueued so far on that stream is done. If captured, each replay records it
  /// anew.
  void record(Of stream);

  /// From `earlier` to this, the newest of each. Both must have been recorded and, on a GPU, reached:
  /// synchronize first.
  double seconds_since(const Timestamp& earlier) const;

 private:
  struct Impl;
  Exec exec_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lockstep

#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

namespace lockstep {

/// The parts of a training step.
enum class StepPart : uint8_t { other, input, forward, loss, backward, all_reduce, optimizer };

/// What a thread enqueues work for. `bench step --account` attributes the nodes of a captured step by it.
struct StepPlace {
  StepPart part = StepPart::other;
  std::string_view layer = {};  ///< "" for work of no layer
};

/// Of the calling thread.
inline StepPlace& step_place() {
  thread_local StepPlace place;
  return place;
}

/// Changes the place for the duration of a scope. The name of the layer outlives it.
class StepPlaceScope {
 public:
  explicit StepPlaceScope(StepPart part, std::string_view layer = {})
      : before_(std::exchange(step_place(), {part, layer})) {}
  ~StepPlaceScope() { step_place() = before_; }
  StepPlaceScope(const StepPlaceScope&) = delete;
  StepPlaceScope& operator=(const StepPlaceScope&) = delete;

 private:
  StepPlace before_;
};

}  // namespace lockstep

#include "src/train/run/tuning_line.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <span>
#include <vector>

#include "src/core/counted.h"

namespace lockstep {

namespace {

using Count = InitialValues::Count;

std::string in_words(const Count& count) {
  return fmt::format("{} ({})", counted(count.tensors, "tensor"), counted(count.values, "parameter"));
}

std::string describe_left(const InitialValues& initial) {
  constexpr size_t kMaxReasons = 8;
  const std::span<const std::string> reasons = initial.reasons;
  const size_t told = std::min(reasons.size(), kMaxReasons);
  return fmt::format("left {} at their initialization: {}{}", in_words(initial.left),
                     fmt::join(reasons.first(told), ", "),
                     told < reasons.size() ? fmt::format(" and {} more", reasons.size() - told) : "");
}

}  // namespace

std::string describe_tuning(const std::optional<InitialValues>& initial, const Graph& graph,
                            const ParameterLayout& layout) {
  std::vector<std::string> parts;
  if (initial) {
    const std::string layers = counted(initial->statistics, "layer");
    parts.push_back(
        fmt::format("loaded {}{} from {}", in_words(initial->loaded),
                    initial->statistics == 0 ? "" : fmt::format(" and the running statistics of {}", layers),
                    initial->path));
    if (initial->left.tensors > 0) parts.push_back(describe_left(*initial));
  }
  Count frozen, scaled;
  for (size_t i = 0; i < layout.parameters.size(); ++i) {
    const ParameterLayout::Slot& slot = layout.parameters[i];
    const Tuning tuning = graph.tuning(slot.node, layout.specs[i].name);
    if (!tuning.frozen && tuning.lr_scale == 1) continue;
    Count& count = tuning.frozen ? frozen : scaled;
    ++count.tensors;
    count.values += slot.elements;
  }
  if (frozen.tensors > 0) parts.push_back(fmt::format("frozen: {}", in_words(frozen)));
  if (scaled.tensors > 0) parts.push_back(fmt::format("scaled learning rate: {}", in_words(scaled)));
  return parts.empty() ? "" : fmt::format("fine-tuning: {}", fmt::join(parts, "; "));
}

}  // namespace lockstep

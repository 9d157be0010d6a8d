#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <variant>

#include "src/core/error.h"
#include "src/graph/graph.h"
#include "src/graph/layers/layers.h"

namespace lockstep {
namespace {

TEST(LayerWork, EveryKindWithFiltersCountsItsWork) {
  int kinds = 0;
  for (const LayerKind& kind : layer_kinds()) {
    std::map<std::string, OptionValue> values;
    for (const LayerOption& option : kind.options) {
      if (option.standard) continue;
      values[option.name] = option.type;
      if (std::holds_alternative<int64_t>(option.type)) values[option.name] = int64_t{2};
    }
    Graph graph({6, 6, 2});
    try {
      graph.add(kind.name, kind.with(values));
    } catch (const Error&) {
      continue;  // of other inputs
    }
    const Layer& layer = *graph.nodes()[0].layer;
    if (!std::ranges::any_of(layer.parameters(), &ParameterSpec::channels_last_filter)) continue;
    EXPECT_GT(layer.flops(), 0) << kind.name;
    ++kinds;
  }
  EXPECT_GT(kinds, 0);
}

}  // namespace
}  // namespace lockstep

// The names and shapes of weights at full size, so that files of torchvision's weights fit.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <set>
#include <string>

#include "models/registry.h"
#include "src/graph/parameters.h"
#include "src/train/checkpoint/file_tensors.h"
#include "tests/models/golden.h"

namespace lockstep {
namespace {

/// "conv1.weight 64 3 7 7"
std::string line_of(const FileTensor& tensor) {
  std::string line = tensor.name;
  for (const int64_t extent : tensor.shape.extents()) line += fmt::format(" {}", extent);
  return line;
}

TEST(TorchvisionNames, EveryTensorOfTorchvisionsModelsHasItsNameAndShape) {
  for (const auto& [name, expected] : torchvision_names()) {
    SCOPED_TRACE(name);
    const ModelEntry* const entry = find_model(name);
    ASSERT_NE(entry, nullptr);
    const ParameterLayout layout(
        build_model({.name = name}, entry->standard.input, entry->standard.output, 1));
    std::set<std::string> actual;
    for (const auto* slots : {&layout.parameters, &layout.states})
      for (const ParameterLayout::Slot& slot : *slots)
        for (const FileTensor& tensor : tensors_of(slot)) actual.insert(line_of(tensor));
    EXPECT_EQ(actual, expected);
  }
}

}  // namespace
}  // namespace lockstep

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "models/naming.h"
#include "src/graph/graph.h"
#include "src/graph/parameters.h"
#include "src/train/checkpoint/file_tensors.h"

namespace lockstep {

/// A parameter or running statistic of a model, as checkpoints and as the files of a library hold it.
struct PublishedTensor {
  bool is_state = false;  ///< a running statistic
  size_t slot = 0;        ///< in ParameterLayout::states or parameters
  FileTensor own;         ///< in a checkpoint, and its place in the slot: in logical order

  std::string name = {};  ///< in the library's files
  Shape shape = {};       ///< there
  /// There, each of so many matrices (rows, columns) of the values is transposed.
  int64_t matrices = 1, rows = 1, columns = 1;
  /// More names under which files may have the same values, because several layers share the parameter.
  std::vector<std::string> tied = {};
};

/// All of a model's tensors with the names, shapes and order of a library. graph: as the model defines it.
///
/// In PyTorch images are (C, H, W), so that what flattens them has the channel slowest, and the layers behind
/// read their inputs in another order than here, where it is fastest.
std::vector<PublishedTensor> published_tensors(const Graph& graph, const ParameterLayout& layout,
                                               const Naming& naming);

/// The values of a tensor in the order of the library's files.
std::vector<float> published_order(const PublishedTensor& tensor, std::span<const float> own);
/// And back.
std::vector<float> own_order(const PublishedTensor& tensor, std::span<const float> published);

}  // namespace lockstep

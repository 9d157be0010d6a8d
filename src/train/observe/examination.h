#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "io/dataset/loader.h"
#include "src/graph/network.h"
#include "src/train/step/batching.h"
#include "src/train/step/task.h"

namespace lockstep {

/// A tensor of a step, and where it lies in the order in which a step computes: the input, the outputs of the
/// layers, the loss, and the gradients of the parameters from the last layer to the first.
struct Place {
  int64_t order = 0;
  int64_t sample = -1;  ///< of the data set: the first that is not finite there; -1: not of one sample alone
};

/// Of a place: "conv1", "conv1.weight" or "conv1.output", and "input", "forward", "loss" or "backward".
struct PlaceNames {
  std::string layer, tensor, pass;
};
PlaceNames names_of(int64_t order, const Graph& graph, const ParameterLayout& layout);

/// Computes one rank's part of a step again, one micro-batch after another, and looks at each tensor: where
/// is the first number that is not finite? None: all are finite. Needs the memory of one more network. Each
/// micro-batch is normalized alone, also where batch norm is synchronized. Waits. The model stays as it is.
std::optional<Place> first_not_finite(Exec exec, const Task& task, const Graph& graph,
                                      const Parameters& parameters, const Batching& batching,
                                      int64_t first_slot, const Batch& batch, int64_t step);

}  // namespace lockstep

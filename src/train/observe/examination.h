#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "io/dataset/loader.h"
#include "src/graph/network.h"
#include "src/train/step/batching.h"
#include "src/train/step/task.h"

namespace lockstep {

/// A tensor of a step, by its position in the order of computation: the input, the outputs of the layers, the
/// loss, and the gradients of the parameters from the last layer to the first.
struct Place {
  int64_t order = 0;
  int64_t sample =
      -1;  ///< of the data set: the first that is not finite there; -1: not attributable to one sample
};

/// The names of a place: "conv1"; "conv1.weight" or "conv1.output"; "input", "forward", "loss" or "backward".
struct PlaceNames {
  std::string layer, tensor, pass;
};
PlaceNames names_of(int64_t order, const Graph& graph, const ParameterLayout& layout);

/// Recomputes one rank's part of a step, one micro-batch at a time, and finds the first tensor with a
/// non-finite number; empty if all are finite. Needs the memory of another network. Normalizes each
/// micro-batch separately, even if batch norm is synchronized. Waits. Does not change the model.
std::optional<Place> first_not_finite(Exec exec, const Task& task, const Graph& graph,
                                      const Parameters& parameters, const Batching& batching,
                                      int64_t first_slot, const Batch& batch, int64_t step);

}  // namespace lockstep

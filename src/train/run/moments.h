#pragma once

#include <vector>

#include "comm/collectives/world.h"
#include "io/dataset/dataset.h"

namespace lockstep {

/// Mean and standard deviation of the stored values of each channel over all samples of a data set.
struct Moments {
  std::vector<double> mean;
  std::vector<double> std;  ///< of the population; exactly 0 where a channel has one value everywhere
};

/// Collective; each rank reads a part of the samples. The channels are the last axis of a sample, or the
/// first one of samples with several axes stored channels-first. The result has the same bits on any number
/// of ranks: the samples are divided into parts that depend on the data alone, whose moments are computed in
/// double and combined in stored order (Chan, Golub and LeVeque 1983).
Moments measure_moments(World& world, const Dataset& dataset, bool channels_first);

}  // namespace lockstep

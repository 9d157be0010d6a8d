#pragma once

#include "io/dataset/dataset.h"
#include "io/dataset/order/sampler.h"

namespace lockstep {

/// How close an order is to one drawn at random, where each of these is 1.
struct OrderQuality {
  /// Mean distance of a sample's place in an epoch and in the files, in units of that of a random order.
  double distance = 0;
  /// Variance of the number of samples of a class in a batch, in units of that of a batch drawn at random; 0:
  /// the samples have no single classes. Above 1 batches have too much of some classes, as those of sorted
  /// samples do.
  double label_variance = 0;
};

/// Of an epoch; looks at up to a few thousand batches.
OrderQuality measure_order(const Order& order, const Dataset& dataset, int64_t global_batch, uint64_t seed);

}  // namespace lockstep

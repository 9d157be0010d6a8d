#pragma once

#include <string>
#include <vector>

#include "io/dataset/dataset.h"
#include "io/dataset/order/sampler.h"

namespace lockstep {

/// The user's choice of the order of training samples.
enum class Shuffle {
  automatic,  ///< full, unless that would decode much more than is used; then window
  full,
  window,
  local,  ///< the same, but each part of a batch has the same samples in every epoch
  chunk,  ///< a window of a single run: needs the least memory and mixes least
  off,    ///< as stored
};

/// The order of the samples of `dataset`. window_bytes: of samples that are mixed at a time. Depends only on
/// how samples are stored and on the arguments, so it is the same on every rank.
Order choose_order(Shuffle wanted, const Dataset& dataset, int64_t global_batch, int64_t window_bytes);
/// An order of this shape.
Order window_order(const WindowShape& shape, const Dataset& dataset);
/// An order in which classes have these shares of the samples; empty: equal ones. Throws Error(usage) unless
/// the samples have one class each, or if the shares are of other classes.
Order class_order(const std::vector<double>& shares, const Dataset& dataset);

/// An order in batches that are padded to these lengths, ascending, or to that of all samples (LengthOrder).
/// Throws Error(usage) if a length is not below that, or if the samples are no sequences of variable length.
Order length_order(const std::vector<int64_t>& bounds, const Dataset& dataset, int64_t global_batch);

/// One line about it for the log, with what it reads and mixes: "full shuffle", ...
std::string describe_order(const Order& order, const Dataset& dataset);

/// Samples that are decoded for each one used, once the caches of all ranks are full.
double read_amplification(const Order& order, const Dataset& dataset);

}  // namespace lockstep

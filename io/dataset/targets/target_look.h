#pragma once

#include "io/dataset/column.h"
#include "io/dataset/dataset.h"
#include "io/dataset/targets/label_counts.h"

namespace lockstep {

inline constexpr const char* kForNumbers = "For numbers to predict set data.task = \"values\".";

/// The kind of targets with several numbers per sample, determined from the first 64 MiB:
///   (N, K)          most rows are not negative and sum to 1: probabilities, one-hot or soft
///                   all numbers are 0 or 1: labels
///                   integers or integral floats, one per place along the samples' first axis: a class at
///                   each position
///                   other floats: values
///   (N, H, W, ...)  integers, or floats that look like labels (kind_of_numbers): a class at each position
///                   other floats: values
/// `task` overrides; options.ignored_label is not a class. samples: the inputs of these targets; null:
/// unknown. Throws Error(data) for integers that match no kind.
TargetKind kind_of_rows(const Column& targets, const Column* samples, const DatasetOptions& options,
                        TargetTask task);

}  // namespace lockstep

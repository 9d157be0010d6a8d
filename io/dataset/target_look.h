#pragma once

#include "io/dataset/column.h"
#include "io/dataset/dataset.h"
#include "io/dataset/label_counts.h"

namespace lockstep {

inline constexpr const char* kForNumbers = "For numbers to predict set data.task = \"values\".";

/// What targets of several numbers a sample are taken for, by the first 64 MiB of them:
///   (N, K)       most rows are not negative and sum to 1  -> probabilities, one-hot or soft
///                all are 0 or 1                           -> labels
///                integers or whole floats, as many as the samples' first axis has -> a class at each
///                position other floats                             -> values
///   (N, H, W, ...)  integers, or floats as classes are written (kind_of_numbers)  -> a class at each
///   position
///                other floats                             -> values
/// `task` overrides; options.ignored_label is of no class. samples: what they belong to; null: unknown.
/// Throws Error(data) for whole numbers that may be anything.
TargetKind kind_of_rows(const Column& targets, const Column* samples, const DatasetOptions& options,
                        TargetTask task);

}  // namespace lockstep

#pragma once

#include <string>
#include <vector>

#include "io/dataset/column.h"
#include "io/dataset/targets/label_counts.h"
#include "io/dataset/targets/targets.h"
#include "io/probe/finding.h"

namespace lockstep {

/// Facts about the stored samples of a data source.
struct SourceFacts {
  std::string x, y;  ///< "mnist.h5:/train/x"; y is empty if there are no targets
  int64_t samples = 0;
  Shape sample;  ///< its shape as stored
  bool has_channels =
      false;  ///< whether its last axis is known to hold channels, as those of complex numbers
  hdf5::ElementType x_stored;
  int64_t values =
      0;  ///< number of values of x examined, in a subset of the samples; 0 for bytes, which need no check
  double min = 0, max = 0, mean = 0, deviation = 0;  ///< of the examined values
  TargetKind target = TargetKind::none;
  int64_t outputs = 0;        ///< classes, or the numbers or labels of a sample
  Shape target_shape;         ///< as Dataset::y_shape()
  bool whole_floats = false;  ///< class numbers are stored as floating point
  ClassNames class_names;     ///< Targets::class_names()
  LabelCounts labels;         ///< filled if the targets were counted
};

/// How a run reads a source. What is set explicitly produces no finding.
struct Reading {
  bool scaled = false;          ///< data.normalize is not "unit"
  bool channels_first = false;  ///< data.layout
  TargetTask task = TargetTask::automatic;
  int64_t classes = 0;   ///< data.classes
  bool weighed = false;  ///< train.class_weights is set
};

/// Facts of an open source. Reads some samples.
SourceFacts facts_of(const Column& x, const Targets* targets);

/// What a user should know before training on such data; printed by `train` and `data check`.
std::vector<Finding> findings_of(const SourceFacts& facts, const Reading& reading);

/// The finding that each sample of x is a single number, where a network needs a vector.
std::string single_numbers(const std::string& x, int64_t samples);

/// The meaning of the axes of a sample as a network reads it, channels-last: "height 28, width 28, one
/// channel", "length 1000, 2 channels"; "28 x 28 values" if two axes have none. has_channels: the last axis
/// of two is known to hold channels.
std::string axes_in_words(const Shape& sample, bool has_channels = false);

}  // namespace lockstep

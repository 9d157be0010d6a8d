#pragma once

#include <string>
#include <vector>

#include "io/dataset/column.h"
#include "io/dataset/label_counts.h"
#include "io/dataset/targets.h"
#include "io/probe/finding.h"

namespace lockstep {

/// What is known of the stored samples of a data source.
struct SourceFacts {
  std::string x, y;  ///< "mnist.h5:/train/x"; y is empty when there are no targets
  int64_t samples = 0;
  Shape sample;  ///< its shape as stored
  hdf5::ElementType x_stored;
  int64_t values = 0;  ///< of x that were looked at, some samples of all; 0 when bytes need no look
  double min = 0, max = 0, mean = 0, deviation = 0;  ///< of those
  TargetKind target = TargetKind::none;
  int64_t outputs = 0;        ///< classes, or width of the target
  bool whole_floats = false;  ///< classes that are stored as floating point
  LabelCounts labels;         ///< when one number a sample was looked at
};

/// How a run reads a source: what it says of itself leaves nothing to find.
struct Reading {
  bool scaled = false;          ///< data.normalize is not "unit"
  bool channels_first = false;  ///< data.layout
  TargetTask task = TargetTask::automatic;
  int64_t classes = 0;  ///< data.classes
};

/// Facts of an open source. Reads some samples.
SourceFacts facts_of(const Column& x, const Targets* targets);

/// What a user should know before such data is trained on; `train` and `data check` print it.
std::vector<Finding> findings_of(const SourceFacts& facts, const Reading& reading);

/// "each sample of /train/x is a single number ...": a network needs a vector.
std::string single_numbers(const std::string& x, int64_t samples);

/// "height 28, width 28, one channel": what the axes of a sample are, channels-last.
std::string axes_in_words(const Shape& sample);

}  // namespace lockstep

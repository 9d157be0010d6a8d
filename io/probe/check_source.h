#pragma once

#include <functional>
#include <string>

#include "io/dataset/dataset.h"
#include "io/probe/findings.h"
#include "io/probe/inspect.h"

namespace lockstep {

/// How training uses an open data set, which a report calls `source`. reading: as the config has it.
SourceCheck check_source(const Dataset& dataset, const std::string& source, const Reading& reading);

/// Reads every sample and target once, as training does. Throws Error(data) for the first that it rejects.
/// progress: called as bytes of samples are read.
void read_all_samples(const Dataset& dataset,
                      const std::function<void(int64_t done, int64_t all)>& progress = nullptr);

/// Opens the sources of a file, whose data sets have been read, as training does without any key set: adds to
/// result.sources. What training rejects is one of result.problems if the source is GROUP/x and GROUP/y, and
/// a finding if it was only guessed.
void check_sources(FileCheck& result);

/// The descriptions of all data sets of a file.
std::vector<DatasetDescription> descriptions_of(const FileCheck& check);

}  // namespace lockstep

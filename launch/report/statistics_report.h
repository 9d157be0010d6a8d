#pragma once

#include <string>

#include "io/statistics/data_statistics.h"
#include "launch/report/report.h"

namespace lockstep {

/// The value of data.normalize that shifts and scales stored samples to mean 0 and deviation 1: "{ mean =
/// [...], std = [...] }", with a number for each channel, or one for images of one channel. "" if a channel
/// has no finite value, or there are too many channels to write down.
std::string normalize_text(const Dataset& dataset, const DataStatistics& statistics);

Json statistics_json(const Dataset& dataset, const DataStatistics& statistics);

/// For people, in at most 80 columns.
void print_statistics(const Dataset& dataset, const DataStatistics& statistics);

}  // namespace lockstep

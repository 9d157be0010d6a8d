#pragma once

#include <string>
#include <vector>

#include "io/dataset/column.h"
#include "io/dataset/dataset.h"

namespace lockstep {

// What the kinds of Dataset that read HDF5 files have in common.

/// Dataset::cache_use(): that of several columns.
CacheUse cache_use_of(const std::vector<const Column*>& columns);

/// Dataset::fingerprint(): the hash of `identity` and of samples spread over the data set.
uint64_t fingerprint_of(const Dataset& dataset, const std::string& identity);

/// Dataset::describe_stored(): file, data set, shape and type of the samples.
std::string stored_in_words(const Column& samples);
/// The rest of Dataset::describe(): whether they are in memory or streamed. bytes: size of the samples and
/// targets. A streamed data set for which reading one sample decompresses far more than that sample is
/// described as slow, with the remedy.
std::string place_in_words(const Column& samples, double bytes, int64_t budget);

}  // namespace lockstep

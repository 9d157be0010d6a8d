#pragma once

#include <string>

#include "src/graph/graph.h"

namespace lockstep {

/// Reads a network from a TOML file: a list of tables [[layer]], each with `kind`, an optional `name` (else
/// the kind and a number, as in "conv2d_1"), the kind's options, and `input = "name"` or `inputs = ["a",
/// "b"]` where it does not read the layer before it; "input" is the data. "classes" stands for the number of
/// outputs that the data needs. input: one sample, channels-last. Throws Error(usage) with file and line.
Graph build_model_file(const std::string& path, const Shape& input, int64_t outputs, uint64_t seed);

}  // namespace lockstep

#pragma once

#include <string>

#include "src/graph/graph.h"
#include "src/graph/network_output.h"

namespace lockstep {

/// Reads a network from a TOML file: a list of tables [[layer]], each with `kind`, an optional `name`
/// (default: the kind and a number, as in "conv2d_1"), the kind's options, and `input = "name"` or `inputs =
/// ["a", "b"]` if it does not read the previous layer; "input" is the data. "classes" stands for the number
/// of outputs that the data needs, per position if there are several.
///
/// [block.NAME] has `layers`, a list of such tables, and `parameters`, a table of parameters with their
/// default values. Options of its layers may be products of integers and parameters, written as text. A layer
/// with `block = "NAME"` instead of a kind stands for the block's layers.
///
/// input: one sample, channels-last; one without a channel axis gets it as with_channels() says, for the axes
/// of the first layer whose kind names them, such as conv1d. Throws Error(usage) with file and line.
Graph build_model_file(const std::string& path, const Value& input, const NetworkOutput& output,
                       uint64_t seed);

}  // namespace lockstep

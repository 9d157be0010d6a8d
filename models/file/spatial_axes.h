#pragma once

#include <toml++/toml.h>

#include <optional>

namespace lockstep {

/// The number of spatial axes in the first kind of layer that names one, such as 1 in conv1d and in
/// attention; none if there is no such kind. `layers` are tables of a model file, `blocks` its table of
/// blocks or null; what is not valid there is skipped.
std::optional<int> spatial_axes(const toml::array& layers, const toml::table* blocks);

}  // namespace lockstep

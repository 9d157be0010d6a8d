#pragma once

#include <toml++/toml.h>
#include <string>

namespace lockstep {

/// What is wrong with the order of the layers where one of them reads `wanted`, a name that no table above it
/// has: a cycle, or a table that comes later. "" if no table has that name. tables: [[layer]] tables, or
/// those of a block; reader: one of them.
std::string order_mistake(const toml::array& tables, const toml::table& reader, const std::string& wanted);

}  // namespace lockstep

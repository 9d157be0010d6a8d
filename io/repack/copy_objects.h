#pragma once

#include <functional>
#include <string>

#include "io/hdf5/hdf5.h"

namespace lockstep {

/// Copies the groups, links, attributes and named types of a file to an empty one, and each data set for
/// which rewrite(name) returns false; those for which it returns true it has written itself, and they get
/// their attributes. Object references in attributes are left out: they hold positions in the old file.
/// Throws Error(data).
void copy_objects(const hdf5::File& from, hdf5::File& to,
                  const std::function<bool(const std::string& name)>& rewrite);

/// Copies the attributes of an object to another one, without object references. Throws Error(data).
void copy_attributes(const hdf5::File& from, const std::string& object, hdf5::File& to,
                     const std::string& copy);

}  // namespace lockstep

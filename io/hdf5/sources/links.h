#pragma once

#include <string>
#include <vector>

#include "io/hdf5/hdf5.h"

namespace lockstep::hdf5 {

/// A name in a file that leads, or should lead, to a data set.
struct Named {
  std::string name;     ///< "/train/x"
  std::string link;     ///< "soft link to /labels", "external link to /x of other.h5"; "" if it is not a link
  std::string problem;  ///< why the link is broken; "" if it leads to a data set
};

/// Every data set to which a name in the file leads, in name order, and every broken link; at most `limit`.
/// Follows soft and external links; enters each group once, so that cycles end.
std::vector<Named> list_names(const File& file, size_t limit);

/// Why `name` cannot be resolved because a link in its path is broken: "/train is a soft link to /gone, which
/// ...". "" if the name simply does not exist.
std::string broken_link(const File& file, const std::string& name);

}  // namespace lockstep::hdf5

#pragma once

#include <string>
#include <vector>

#include "io/hdf5/hdf5.h"

namespace lockstep::hdf5 {

/// A name in a file that leads, or should lead, to a data set.
struct Named {
  std::string name;  ///< "/train/x"
  std::string
      link;  ///< "soft link to /labels", "external link to /x of other.h5"; "" where it is stored here
  std::string problem;  ///< why the link leads nowhere; "" when it leads to a data set
};

/// Every data set that a name in the file leads to, in name order, and every link that leads nowhere; at most
/// `limit`. Soft and external links are followed; each group is entered once, so that circles end.
std::vector<Named> list_names(const File& file, size_t limit);

/// Why `name` leads nowhere, when a link on its way is broken: "/train is a soft link to /gone, which ...".
/// "" when there is simply no such name.
std::string broken_link(const File& file, const std::string& name);

}  // namespace lockstep::hdf5

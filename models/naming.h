#pragma once

#include <string>
#include <vector>

namespace lockstep {

/// Text in the names of a model's tensors that a library replaces, and how it stores these tensors.
struct Renaming {
  std::string ours, theirs;
  int leading_ones = 0;     ///< axes of extent 1 that it puts in front of the others
  bool transposed = false;  ///< it stores a matrix (out, in) as (in, out)
};

/// The names of a model's tensors in the files of a library.
struct Naming {
  std::string library;                    ///< "torchvision", for users
  std::vector<Renaming> renamings = {};   ///< applied in order; other names are the same as here
  std::string prefix = {};                ///< that all names have in some files
  std::vector<std::string> ignored = {};  ///< endings of the names of tensors that are not weights
};

}  // namespace lockstep

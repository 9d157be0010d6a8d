#pragma once

#include "io/hdf5/hdf5.h"

namespace lockstep::hdf5 {

/// What the elements of a data set of this type in a file are.
ElementType element_type(hid_t type);

}  // namespace lockstep::hdf5

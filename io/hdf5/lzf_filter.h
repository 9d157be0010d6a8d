#pragma once

namespace lockstep::hdf5 {

/// Teaches libhdf5 to decode h5py's lzf, for what it reads by itself: the sources of virtual data sets.
void register_lzf();

}  // namespace lockstep::hdf5

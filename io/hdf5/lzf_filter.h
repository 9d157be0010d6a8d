#pragma once

namespace lockstep::hdf5 {

/// Registers a decoder for h5py's lzf with libhdf5, which reads the sources of virtual data sets by itself.
void register_lzf();

}  // namespace lockstep::hdf5

#pragma once

namespace lockstep::hdf5 {

/// Registers the decoders of lzf, zstd, lz4, bitshuffle and blosc with libhdf5, which reads the sources of
/// virtual data sets by itself. libhdf5 then searches for no plugins of its own for them.
void register_filters();

}  // namespace lockstep::hdf5

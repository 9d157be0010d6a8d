#pragma once

namespace lockstep {

/// Whether this build has the CUDA backend. In a header of its own: all other files compile to the same
/// objects with CUDA and without, so that a compiler cache shares them.
#ifdef LOCKSTEP_HAVE_CUDA
inline constexpr bool kCuda = true;
#else
inline constexpr bool kCuda = false;
#endif

}  // namespace lockstep

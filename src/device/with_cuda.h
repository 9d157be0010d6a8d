#pragma once

namespace lockstep {

/// Whether this build has the CUDA backend. In a header of its own, so that files that do not need to know
/// compile to the same objects with CUDA and without it, which a compiler cache then shares.
#ifdef LOCKSTEP_HAVE_CUDA
inline constexpr bool kCuda = true;
#else
inline constexpr bool kCuda = false;
#endif

}  // namespace lockstep

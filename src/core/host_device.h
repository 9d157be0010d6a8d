#pragma once

/// Marks a function that host code and kernels share (index arithmetic, counters), never a formula under
/// test.
#ifdef __CUDACC__
#define LOCKSTEP_HOST_DEVICE __host__ __device__
#else
#define LOCKSTEP_HOST_DEVICE
#endif

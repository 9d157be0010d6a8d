#pragma once

/// Marks a function shared by host code and kernels: index arithmetic and counters, never a formula under
/// test.
#ifdef __CUDACC__
#define LOCKSTEP_HOST_DEVICE __host__ __device__
#else
#define LOCKSTEP_HOST_DEVICE
#endif

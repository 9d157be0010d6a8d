#pragma once

namespace lockstep {

/// What a GPU can do at most. The defaults are an H200's: its memory as copies measure it, and the peaks of
/// its arithmetic without sparsity that products of matrices come near to.
struct Ceilings {
  double terabytes_per_s = 4.3;
  double fp32_teraflops = 60, tf32_teraflops = 400, bf16_teraflops = 790;
  double node_us = 1.5;  ///< to start a node of a CUDA graph
};

}  // namespace lockstep

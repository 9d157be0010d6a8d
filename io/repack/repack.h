#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "io/repack/repack_ranks.h"

namespace lockstep {

struct RepackOptions {
  enum class Codec {
    automatic,  ///< deflate if it makes the values at least 1.5 times smaller, else none
    none,       ///< contiguous, read without decoding
    deflate,    ///< after HDF5's shuffle filter
  };
  Codec codec = Codec::automatic;
  int64_t chunk_bytes = int64_t{256} << 10;  ///< of a chunk, decoded; at least one sample
  bool shuffle = false;                      ///< put the samples in a random order, the same in all data sets
  uint64_t seed = 1;                         ///< of that order
  int64_t memory_bytes = int64_t{1} << 30;   ///< for samples, apart from what libhdf5 takes
  int threads = 1;                           ///< of each rank, that compress
  /// Called as bytes of values are written, with those of all data sets.
  std::function<void(int64_t done, int64_t all)> progress = nullptr;
};

/// What was measured of a codec on some chunks of a data set.
struct CodecTrial {
  int level = 0;           ///< of deflate
  double ratio = 0;        ///< decoded bytes for each stored one
  double decode_rate = 0;  ///< decoded bytes a second, on one core
};

struct RepackedDataset {
  std::string name;
  int64_t samples = 0, chunk_samples = 0;  ///< chunk_samples: 0 if contiguous
  int level = 0;                           ///< of deflate; 0: not compressed
  int64_t bytes_before = 0, bytes_after = 0;
  std::vector<CodecTrial> trials = {};
};

/// Copies an HDF5 file so that training reads it fast: every data set of numbers with several samples is
/// stored in chunks of whole samples, or contiguously. Everything else, attributes and links are copied as
/// they are. `out` appears complete or not at all. ranks: whose other processes call help_to_repack(); the
/// file has the same bytes for any number of them. memory_bytes is that of each. Throws Error(data), also if
/// another rank fails.
std::vector<RepackedDataset> repack(const std::string& in, const std::string& out,
                                    const RepackOptions& options, const RepackRanks& ranks = {});

/// What the ranks above 0 do meanwhile: reads and encodes for rank 0, to which it sends its errors. Returns
/// when repack() has all rows.
void help_to_repack(const std::string& in, const RepackOptions& options, const RepackRanks& ranks);

}  // namespace lockstep

#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lockstep {

// Predicts by arithmetic what a training step costs on more ranks than are available. A message of b bytes
// takes latency + b * seconds_per_byte (the alpha-beta model of Hockney 1994), and the costs of all-reduce
// follow Thakur, Rabenseifner and Gropp 2005, "Optimization of collective communication operations in MPICH".

/// One direction of one rank's connection.
struct Link {
  double latency = 0;           ///< seconds of an empty message: alpha
  double seconds_per_byte = 0;  ///< beta
};

/// The connections between ranks. Nodes are filled one after another.
struct Fabric {
  int64_t ranks_per_node = 0;  ///< 0: all on one node
  Link inside;                 ///< between the ranks of a node
  Link between;                ///< between nodes; each rank has its share of the node's network
  /// How many ranks of a node can compute at the same time; more take turns, and everything takes longer. 0:
  /// all.
  int64_t places_per_node = 0;
};

/// ring: 2(n-1) consecutive messages, each of 1/n of the data. Around several nodes it runs once for each
///   rank of a node, so that all their network links carry data.
/// tree: recursive halving and doubling, 2 log2(n) consecutive messages and the same volume. NCCL's double
///   binary trees (Sanders, Speck and Traff 2009) cost the same, up to a factor of n/(n-1) in the volume.
/// hierarchical: reduce-scatter inside the node, all-reduce of each rank's part across nodes, all-gather
///   inside.
enum class AllReduce { ring, tree, hierarchical };
std::string to_string(AllReduce algorithm);

/// Seconds to all-reduce `bytes` over `ranks` ranks; 0 for one rank.
double all_reduce_seconds(AllReduce algorithm, const Fabric& fabric, int64_t ranks, double bytes);
/// The fastest algorithm.
AllReduce fastest_all_reduce(const Fabric& fabric, int64_t ranks, double bytes);

/// One rank's part of a step.
struct StepWork {
  double compute_seconds = 0;        ///< forward, backward and update, if no ranks take turns
  double spread_seconds = 0;         ///< standard deviation of that from step to step and rank to rank
  std::vector<double> bucket_bytes;  ///< gradients, in the order in which backward completes them
  bool overlap = true;               ///< buckets are reduced during backward
};

/// A step's time and where it goes: seconds = compute + wait + exposed.
struct StepCost {
  double compute = 0;
  double wait = 0;           ///< for the slowest rank
  double communication = 0;  ///< all all-reduces together
  double exposed = 0;        ///< the part of it that backward does not hide
  double seconds = 0;
  AllReduce algorithm = AllReduce::ring;  ///< the fastest for the largest bucket
};

/// The cost of one step on `ranks` ranks, whose all-reduces run one after another, each with the fastest
/// algorithm. With overlap, a bucket is ready when backward (two thirds of compute: two products for each of
/// forward) has done its share of the bytes, as in Li et al. 2020, "PyTorch Distributed". The slowest of n
/// ranks is expected to be expected_maximum(n) standard deviations slower than the mean.
StepCost step_cost(const Fabric& fabric, const StepWork& work, int64_t ranks);

/// The mean of the largest of n independent standard normal numbers.
double expected_maximum(int64_t n);

/// Bucket sizes similar to those of make_buckets(): a first bucket of at most 1 MiB, then equal ones of at
/// most bucket_bytes.
std::vector<double> even_buckets(double total_bytes, double bucket_bytes);
/// The largest bucket size, a power of two from 1 MiB or a single bucket, with which the step is at most
/// 0.1 % slower than with the best one, because the model ignores what fewer calls save elsewhere.
/// work.bucket_bytes gives the total of bytes.
double best_bucket_bytes(const Fabric& fabric, const StepWork& work, int64_t ranks);

}  // namespace lockstep

#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lockstep {

// What a training step costs on more ranks than there are here, by arithmetic alone. A message of b bytes
// takes latency + b * seconds_per_byte (the alpha-beta model of Hockney 1994), and the costs of all-reduce
// follow Thakur, Rabenseifner and Gropp 2005, "Optimization of collective communication operations in MPICH".

/// One direction of one rank's connection.
struct Link {
  double latency = 0;           ///< seconds of a message without content: alpha
  double seconds_per_byte = 0;  ///< beta
};

/// How the ranks are connected. Nodes are filled one after the other.
struct Fabric {
  int64_t ranks_per_node = 0;  ///< 0: all on one node
  Link inside;                 ///< between the ranks of a node
  Link between;                ///< between nodes; each rank has its share of the node's network
  /// How many ranks of a node compute at the same time; with more they take turns, and everything takes
  /// longer. 0: all.
  int64_t places_per_node = 0;
};

/// ring: 2(n-1) messages in a row, each of 1/n of the data. Around several nodes it runs once for each rank
/// of a
///   node, so that all their network links carry data.
/// tree: recursive halving and doubling, 2 log2(n) messages in a row and the same volume. NCCL's double
/// binary
///   trees (Sanders, Speck and Traff 2009) cost the same but for a factor of n/(n-1) in the volume.
/// hierarchical: reduce-scatter inside the node, a sum of each rank's part across the nodes, all-gather
/// inside.
enum class AllReduce { ring, tree, hierarchical };
std::string to_string(AllReduce algorithm);

/// Seconds to sum `bytes` over so many ranks; 0 for one rank.
double all_reduce_seconds(AllReduce algorithm, const Fabric& fabric, int64_t ranks, double bytes);
/// The algorithm that takes the least time.
AllReduce fastest_all_reduce(const Fabric& fabric, int64_t ranks, double bytes);

/// One rank's part of a step.
struct StepWork {
  double compute_seconds = 0;        ///< forward, backward and update, when nobody takes turns
  double spread_seconds = 0;         ///< standard deviation of that from step to step and rank to rank
  std::vector<double> bucket_bytes;  ///< gradients, in the order in which backward completes them
  bool overlap = true;               ///< buckets travel while backward goes on
};

/// A step's time and where it goes: seconds = compute + wait + exposed.
struct StepCost {
  double compute = 0;
  double wait = 0;           ///< for the slowest rank
  double communication = 0;  ///< all sums together
  double exposed = 0;        ///< the part of it that backward does not hide
  double seconds = 0;
  AllReduce algorithm = AllReduce::ring;  ///< the fastest for the largest bucket
};

/// One step on so many ranks, each sum by the fastest algorithm, one after the other. With overlap, a bucket
/// is ready when backward (two thirds of compute: two products for each one of forward) has done its share of
/// the bytes, as in Li et al. 2020, "PyTorch Distributed". The slowest of n ranks is expected
/// expected_maximum(n) standard deviations behind the mean.
StepCost step_cost(const Fabric& fabric, const StepWork& work, int64_t ranks);

/// The mean of the largest of n independent standard normal numbers.
double expected_maximum(int64_t n);

/// Gradients cut about as make_buckets() does: a first bucket of at most 1 MiB, the rest in equal ones of at
/// most bucket_bytes.
std::vector<double> even_buckets(double total_bytes, double bucket_bytes);
/// The largest power of two from 1 MiB up, or all in one, with which the step is at most 0.1 % slower than
/// with the best one: what fewer calls save elsewhere is not in the model. work.bucket_bytes says how many
/// bytes there are.
double best_bucket_bytes(const Fabric& fabric, const StepWork& work, int64_t ranks);

}  // namespace lockstep

#include "comm/cost/cost_model.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "src/core/error.h"

namespace lockstep {

namespace {

struct Nodes {
  double nodes, per_node;
};

Nodes shape_of(const Fabric& fabric, int64_t ranks) {
  const int64_t max_per_node = fabric.ranks_per_node > 0 ? fabric.ranks_per_node : ranks;
  const int64_t per_node = std::min(ranks, max_per_node);
  return {std::ceil(static_cast<double>(ranks) / static_cast<double>(per_node)),
          static_cast<double>(per_node)};
}

/// The factor by which everything is slower because ranks share a node's places.
double turns(const Fabric& fabric, int64_t ranks) {
  if (fabric.places_per_node == 0) return 1;
  return std::max(1.0, shape_of(fabric, ranks).per_node / static_cast<double>(fabric.places_per_node));
}

double doublings(double n) { return std::ceil(std::log2(n)); }

/// One rank's volume in an all-reduce among n ranks, relative to the data.
double volume(double n) { return 2 * (n - 1) / n; }

/// A flat all-reduce over all ranks. The data that enters a node is divided over the links of its ranks.
double flat_seconds(const Fabric& fabric, int64_t ranks, double bytes, double inside_messages,
                    double between_messages) {
  const Nodes shape = shape_of(fabric, ranks);
  double per_byte = shape.per_node > 1 ? fabric.inside.seconds_per_byte : 0;
  if (shape.nodes > 1) per_byte = std::max(per_byte, fabric.between.seconds_per_byte / shape.per_node);
  return inside_messages * fabric.inside.latency + between_messages * fabric.between.latency +
         volume(static_cast<double>(ranks)) * bytes * per_byte;
}

double hierarchical_seconds(const Fabric& fabric, int64_t ranks, double bytes) {
  const Nodes shape = shape_of(fabric, ranks);
  const double inside = 2 * (shape.per_node - 1) * fabric.inside.latency +
                        volume(shape.per_node) * bytes * fabric.inside.seconds_per_byte;
  const double messages = std::min(2 * (shape.nodes - 1), 2 * doublings(shape.nodes));
  return inside + messages * fabric.between.latency +
         volume(shape.nodes) * bytes / shape.per_node * fabric.between.seconds_per_byte;
}

}  // namespace

std::string to_string(AllReduce algorithm) {
  switch (algorithm) {
    case AllReduce::ring:
      return "ring";
    case AllReduce::tree:
      return "tree";
    case AllReduce::hierarchical:
      return "hierarchical";
  }
  fail(ExitCode::bug, "unknown all-reduce algorithm {}", static_cast<int>(algorithm));
}

double all_reduce_seconds(AllReduce algorithm, const Fabric& fabric, int64_t ranks, double bytes) {
  INVARIANT(ranks > 0, "{} ranks", ranks);
  if (ranks == 1 || bytes <= 0) return 0;
  const Nodes shape = shape_of(fabric, ranks);
  double seconds = 0;
  switch (algorithm) {
    case AllReduce::ring: {
      // Twice around the ring; one hop per node and round leaves the node.
      const double hops = 2 * static_cast<double>(ranks - 1);
      const double between = shape.nodes > 1 ? 2 * (shape.nodes - 1) : 0;
      seconds = flat_seconds(fabric, ranks, bytes, hops - between, between);
      break;
    }
    case AllReduce::tree:
      seconds = flat_seconds(fabric, ranks, bytes, 2 * doublings(shape.per_node), 2 * doublings(shape.nodes));
      break;
    case AllReduce::hierarchical:
      seconds = hierarchical_seconds(fabric, ranks, bytes);
      break;
  }
  return seconds * turns(fabric, ranks);
}

AllReduce fastest_all_reduce(const Fabric& fabric, int64_t ranks, double bytes) {
  const auto seconds = [&](AllReduce algorithm) {
    return all_reduce_seconds(algorithm, fabric, ranks, bytes);
  };
  return std::min({AllReduce::ring, AllReduce::tree, AllReduce::hierarchical},
                  [&](AllReduce a, AllReduce b) { return seconds(a) < seconds(b); });
}

StepCost step_cost(const Fabric& fabric, const StepWork& work, int64_t ranks) {
  constexpr double kForwardShare = 1.0 / 3;
  const double slowdown = turns(fabric, ranks);
  StepCost cost;
  cost.compute = work.compute_seconds * slowdown;
  cost.wait = work.spread_seconds * slowdown * expected_maximum(ranks);
  const double total = std::accumulate(work.bucket_bytes.begin(), work.bucket_bytes.end(), 0.0);
  double done = 0, channel_free = 0, largest = 0;
  for (const double bytes : work.bucket_bytes) {
    done += bytes;
    const double backward = total > 0 ? done / total : 1;
    const double ready =
        work.overlap ? cost.compute * (kForwardShare + (1 - kForwardShare) * backward) : cost.compute;
    const AllReduce algorithm = fastest_all_reduce(fabric, ranks, bytes);
    const double seconds = all_reduce_seconds(algorithm, fabric, ranks, bytes);
    channel_free = std::max(channel_free, ready) + seconds;
    cost.communication += seconds;
    if (bytes > largest) {
      largest = bytes;
      cost.algorithm = algorithm;
    }
  }
  cost.exposed = std::max(0.0, channel_free - cost.compute);
  cost.seconds = cost.compute + cost.wait + cost.exposed;
  return cost;
}

double expected_maximum(int64_t n) {
  INVARIANT(n > 0, "the largest of {} numbers", n);
  if (n == 1) return 0;
  // The mean of a variable with distribution F is the integral of 1 - F(x) - F(-x) over x > 0; here F is the
  // n-th power of the normal one.
  constexpr double kEnd = 10, kStep = 1e-3;
  const auto power = [n](double x) {
    return std::pow(std::erfc(-x / std::sqrt(2.0)) / 2, static_cast<double>(n));
  };
  const auto integrand = [&](double x) { return 1 - power(x) - power(-x); };
  double sum = (integrand(0) + integrand(kEnd)) / 2;
  for (int i = 1; i < std::lround(kEnd / kStep); ++i) sum += integrand(i * kStep);
  return sum * kStep;
}

std::vector<double> even_buckets(double total_bytes, double bucket_bytes) {
  INVARIANT(bucket_bytes > 0, "buckets of {} bytes", bucket_bytes);
  if (total_bytes <= 0) return {};
  const double first = std::min({bucket_bytes, 0x1p20, total_bytes});
  const double rest = total_bytes - first, count = std::ceil(rest / bucket_bytes);
  std::vector<double> buckets(static_cast<size_t>(count), rest / count);
  buckets.insert(buckets.begin(), first);
  return buckets;
}

double best_bucket_bytes(const Fabric& fabric, const StepWork& work, int64_t ranks) {
  constexpr double kAsGood = 1.001;
  const double total = std::accumulate(work.bucket_bytes.begin(), work.bucket_bytes.end(), 0.0);
  std::vector<std::pair<double, double>> sizes;  // bytes, seconds
  double fastest = INFINITY;
  for (double bytes = 0x1p20; sizes.empty() || sizes.back().first < total; bytes *= 2) {
    StepWork cut = work;
    cut.bucket_bytes = even_buckets(total, bytes);
    sizes.emplace_back(std::min(bytes, total), step_cost(fabric, cut, ranks).seconds);
    fastest = std::min(fastest, sizes.back().second);
  }
  const auto best = std::find_if(sizes.rbegin(), sizes.rend(),
                                 [&](const auto& size) { return size.second <= kAsGood * fastest; });
  return best->first;
}

}  // namespace lockstep

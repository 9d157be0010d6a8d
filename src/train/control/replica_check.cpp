#include "src/train/control/replica_check.h"

#include <algorithm>
#include <numeric>

#include "src/core/counted.h"
#include "src/core/error.h"
#include "src/ops/fingerprint.h"

namespace lockstep {

namespace {

/// "rank 2 (node7)", "ranks 0 (node1) and 1 (node2)". Collective, because it gathers the names of the hosts.
std::string name_ranks(World& world, const std::vector<int>& ranks) {
  constexpr size_t kMaxNamed = 8;
  std::string text = ranks.size() == 1 ? "rank " : "ranks ";
  for (size_t i = 0; i < std::min(ranks.size(), kMaxNamed); ++i) {
    const bool is_last = i + 1 == ranks.size();
    if (i > 0) text += is_last ? " and " : ", ";
    text += fmt::format("{} ({})", ranks[i], world.host_of(ranks[i]));
  }
  if (ranks.size() > kMaxNamed) text += fmt::format(" and {} more", ranks.size() - kMaxNamed);
  return text;
}

}  // namespace

std::vector<int> ranks_apart(std::span<const uint64_t> values) {
  std::vector<uint64_t> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  // A value held by more than half of them is also the median.
  const uint64_t common = sorted[sorted.size() / 2];
  const auto count = static_cast<size_t>(std::count(sorted.begin(), sorted.end(), common));
  const bool has_majority = 2 * count > values.size();
  std::vector<int> apart;
  for (size_t rank = 0; rank < values.size(); ++rank)
    if (!has_majority || values[rank] != common) apart.push_back(static_cast<int>(rank));
  return apart;
}

ReplicaCheck::ReplicaCheck(Exec exec, std::vector<ModelSection> sections, int64_t every_steps)
    : exec_(exec),
      sections_(std::move(sections)),
      every_steps_(every_steps),
      sum_(exec, Memory::device, sizeof(uint64_t)) {
  INVARIANT(every_steps > 0, "a fingerprint every {} steps", every_steps);
}

void ReplicaCheck::add_all(uint64_t* sum) {
  int64_t first_block = 0;
  for (const ModelSection& section : sections_) {
    add_fingerprint(exec_, section.flat, first_block, sum);
    first_block += static_cast<int64_t>(section.flat.size()) / kFlatBlock;
  }
}

bool ReplicaCheck::enqueue(int64_t step, std::span<float> pieces) {
  INVARIANT(pieces.size() == kFingerprintFloats, "{} pieces", pieces.size());
  if (step % every_steps_ == 0) {
    uint64_t* const sum = sum_.as<uint64_t>().data();
    fill_zero(exec_, sum, sum_.size());
    add_all(sum);
    cut_fingerprint(exec_, sum, pieces.data());
    pieces_are_zero_ = false;
    return true;
  }
  // An all-reduce of zeros leaves zeros.
  if (!pieces_are_zero_) fill_zero(exec_, pieces.data(), pieces.size_bytes());
  pieces_are_zero_ = true;
  return false;
}

void ReplicaCheck::check(World& world, int64_t steps) {
  uint64_t mine = 0;
  fill_zero(exec_, sum_.data(), sum_.size());
  add_all(sum_.as<uint64_t>().data());
  copy(exec_, &mine, sum_.data(), sizeof mine);
  synchronize(exec_);
  const std::vector<uint64_t> all = world.gather(mine);
  if (std::ranges::count(all, mine) != world.size()) fail_naming_rank(world, steps);
  agreed_after(steps);
}

void ReplicaCheck::fail_naming_rank(World& world, int64_t steps) {
  struct Place {
    const ModelSection* section;
    const ParameterLayout::Slot* slot;
  };
  std::vector<Place> tensors;
  for (const ModelSection& section : sections_)
    for (const ParameterLayout::Slot& slot : *section.slots) tensors.push_back({&section, &slot});

  const Buffer sums(exec_, Memory::device, tensors.size() * sizeof(uint64_t));
  for (size_t i = 0; i < tensors.size(); ++i) {
    const auto& [section, slot] = tensors[i];
    const int64_t size = (slot->elements + kFlatBlock - 1) / kFlatBlock * kFlatBlock;
    add_fingerprint(exec_,
                    section->flat.subspan(static_cast<size_t>(slot->offset), static_cast<size_t>(size)), 0,
                    sums.as<uint64_t>().data() + i);
  }
  std::vector<uint64_t> mine(tensors.size());
  copy(exec_, mine.data(), sums.data(), sums.size());
  synchronize(exec_);

  std::string first_name;
  std::vector<int> ranks;
  int differing = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const std::vector<uint64_t> all = world.gather(mine[i]);
    if (std::ranges::count(all, all[0]) == world.size()) continue;
    if (differing++ > 0) continue;
    first_name = tensors[i].section->prefix + tensors[i].slot->name;
    ranks = ranks_apart(all);
  }
  const std::string when = agreed_after_ + 1 == steps
                               ? fmt::format("step {}", steps)
                               : fmt::format("one of the steps {} to {}", agreed_after_ + 1, steps);
  // The exit code is that of a lost rank: a machine of the job is faulty, and the same job may succeed on
  // other machines.
  if (differing == 0)
    fail(ExitCode::lost,
         "the ranks held different models after {}, but hold the same one now: the memory or network of an "
         "unknown machine is faulty. Check the machines' logs for memory errors, and resume from the newest "
         "checkpoint with --resume auto.",
         when);
  const std::string what = differing == 1 ? first_name
                                          : fmt::format("{} and {} more tensor{}", first_name, differing - 1,
                                                        differing == 2 ? "" : "s");
  const bool all_apart = static_cast<int>(ranks.size()) == world.size();
  const std::string who = name_ranks(world, ranks);
  fail(ExitCode::lost,
       "{} {} in {}, since {}: memory, arithmetic or the network corrupted data without an error, or the "
       "machines differ. Test {} (GPU: nvidia-smi -q -d ECC), exclude faulty machines, and resume from the "
       "newest checkpoint with --resume auto.",
       who,
       all_apart ? "differ from each other, without a majority,"
                 : fmt::format("no longer {} the same as the other {}", ranks.size() == 1 ? "holds" : "hold",
                               counted(static_cast<size_t>(world.size()) - ranks.size(), "rank")),
       what, when, ranks.size() == 1 ? "its memory" : "their memory");
}

}  // namespace lockstep

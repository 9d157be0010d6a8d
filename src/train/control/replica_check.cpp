#include "src/train/control/replica_check.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "src/core/counted.h"
#include "src/core/error.h"
#include "src/ops/fingerprint.h"
#include "src/train/checkpoint/snapshot.h"

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

/// The length of a tensor in a flat buffer.
int64_t padded(int64_t elements) { return (elements + kFlatBlock - 1) / kFlatBlock * kFlatBlock; }

/// The memory of values of two bytes.
std::span<const float> floats_of(ConstTensor values) {
  return {static_cast<const float*>(values.raw()), static_cast<size_t>(values.elements() / 2)};
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

std::vector<ReplicatedTensor> replicated_tensors(const Parameters& parameters,
                                                 const std::string& optimizer_name,
                                                 const Optimizer& optimizer, const Sharding* sharding) {
  const ParameterLayout& layout = parameters.layout();
  const bool have_part = sharding != nullptr && sharding->gathers_working_copy();
  std::vector<ReplicatedTensor> tensors;
  int buffer = 0;
  for (const ModelSection& section :
       model_sections(parameters, optimizer_name, sharding != nullptr ? nullptr : &optimizer)) {
    ++buffer;
    for (const ParameterLayout::Slot& slot : *section.slots) {
      const auto offset = static_cast<size_t>(slot.offset), size = static_cast<size_t>(padded(slot.elements));
      ReplicatedTensor& tensor = tensors.emplace_back();
      tensor.name = section.prefix + slot.name;
      if (have_part && section.slots == &layout.parameters && !slot.read_as_f32 && !slot.frozen)
        tensor.values = floats_of(parameters.working_weights()).subspan(offset / 2, size / 2);
      else
        tensor = {tensor.name, section.flat.subspan(offset, size), buffer};
    }
  }
  return tensors;
}

ReplicaCheck::ReplicaCheck(Exec exec, std::vector<ReplicatedTensor> tensors, int64_t every_steps)
    : exec_(exec),
      tensors_(std::move(tensors)),
      every_steps_(every_steps),
      sum_(exec, Memory::device, sizeof(uint64_t)) {
  INVARIANT(every_steps > 0, "a fingerprint every {} steps", every_steps);
  // The order of neighbours is not that of the definition. Sorted by address alone, the order of the buffers
  // would depend on the rank, and so would the fingerprint.
  std::vector<const ReplicatedTensor*> sorted;
  for (const ReplicatedTensor& tensor : tensors_) sorted.push_back(&tensor);
  std::ranges::sort(sorted, {}, [](const ReplicatedTensor* tensor) {
    return std::pair(tensor->buffer, tensor->values.data());
  });
  for (size_t i = 0; i < sorted.size(); ++i) {
    const std::span<const float> values = sorted[i]->values;
    const bool joins = i > 0 && sorted[i]->buffer == sorted[i - 1]->buffer &&
                       values.data() == ranges_.back().data() + ranges_.back().size();
    if (joins)
      ranges_.back() = {ranges_.back().data(), ranges_.back().size() + values.size()};
    else
      ranges_.push_back(values);
  }
}

void ReplicaCheck::add_all(uint64_t* sum) {
  int64_t first_block = 0;
  for (const std::span<const float> range : ranges_) {
    add_fingerprint(exec_, range, first_block, sum);
    first_block += (static_cast<int64_t>(range.size()) + kFlatBlock - 1) / kFlatBlock;
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
  const Buffer sums(exec_, Memory::device, tensors_.size() * sizeof(uint64_t));
  for (size_t i = 0; i < tensors_.size(); ++i)
    add_fingerprint(exec_, tensors_[i].values, 0, sums.as<uint64_t>().data() + i);
  std::vector<uint64_t> mine(tensors_.size());
  copy(exec_, mine.data(), sums.data(), sums.size());
  synchronize(exec_);

  std::string first_name;
  std::vector<int> ranks;
  int differing = 0;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    const std::vector<uint64_t> all = world.gather(mine[i]);
    if (std::ranges::count(all, all[0]) == world.size()) continue;
    if (differing++ > 0) continue;
    first_name = tensors_[i].name;
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

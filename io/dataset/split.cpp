#include <cmath>

#include "io/dataset/dataset.h"
#include "io/dataset/sampler.h"
#include "io/probe/findings.h"
#include "src/core/counted.h"
#include "src/core/rng.h"

namespace lockstep {

namespace {

/// Samples [first, first + size) of a seeded permutation of another data set.
class SplitDataset final : public Dataset {
 public:
  SplitDataset(std::shared_ptr<const Dataset> whole, const Permutation& order, int64_t first, int64_t size,
               std::string part)
      : whole_(std::move(whole)), order_(order), first_(first), size_(size), part_(std::move(part)) {}

  int64_t size() const override { return size_; }
  const Shape& x_shape() const override { return whole_->x_shape(); }
  DType x_dtype() const override { return whole_->x_dtype(); }
  TargetKind target_kind() const override { return whole_->target_kind(); }
  const Shape& y_shape() const override { return whole_->y_shape(); }
  int64_t classes() const override { return whole_->classes(); }
  std::vector<int64_t> class_targets() const override { return whole_->class_targets(); }

  void read(std::span<const int64_t> indices, std::byte* x, std::byte* y) const override {
    std::vector<int64_t> mapped(indices.size());
    for (size_t i = 0; i < indices.size(); ++i) {
      INVARIANT(indices[i] >= 0 && indices[i] < size_, "sample {} of {}", indices[i], size_);
      mapped[i] = static_cast<int64_t>(order_(static_cast<uint64_t>(first_ + indices[i])));
    }
    whole_->read(mapped, x, y);
  }

  uint64_t fingerprint() const override {
    const Random4 words = philox(whole_->fingerprint(), static_cast<uint64_t>(first_),
                                 order_(0) ^ static_cast<uint64_t>(size_) << 20);
    return uint64_t{words.word[0]} << 32 | words.word[1];
  }

  int64_t stored_row(int64_t index) const override {
    return whole_->stored_row(static_cast<int64_t>(order_(static_cast<uint64_t>(first_ + index))));
  }

  int64_t sample_at(int64_t stored_row) const override {
    const int64_t sample = whole_->sample_at(stored_row);
    if (sample < 0) return -1;
    const int64_t index = static_cast<int64_t>(order_.position_of(static_cast<uint64_t>(sample))) - first_;
    return index >= 0 && index < size_ ? index : -1;
  }

  StoredBlocks stored_blocks() const override { return whole_->stored_blocks(); }
  bool in_memory() const override { return whole_->in_memory(); }
  std::optional<SourceFacts> facts() const override { return whole_->facts(); }

  std::string describe() const override {
    return fmt::format("{} ({} part) of {}", counted(size_, "sample"), part_, whole_->describe());
  }

 private:
  std::shared_ptr<const Dataset> whole_;
  Permutation order_;
  int64_t first_, size_;
  std::string part_;
};

}  // namespace

Split split_dataset(std::shared_ptr<const Dataset> dataset, double fraction, uint64_t seed) {
  constexpr uint64_t kSplitStream = 0x73706c6974;  // "split": distinct from all other uses of the seed
  const int64_t size = dataset->size();
  const int64_t validation = std::llround(fraction * static_cast<double>(size));
  const double part = 1.0 / static_cast<double>(size);  // one sample
  if (!(fraction > 0 && fraction < 1) || validation < 1 || validation >= size)
    fail(ExitCode::usage,
         "data.validation_split = {} of {} samples holds out {} for validation; both parts need at least "
         "one. {}",
         fraction, size, validation,
         size < 2 ? "Remove the key: one sample cannot be split."
                  : fmt::format("With {} samples it may be {:.3g} to {:.9g}.", size, part, 1 - part));
  const Random4 words = philox(seed, kSplitStream, 0);
  const Permutation order(uint64_t{words.word[0]} << 32 | words.word[1], static_cast<uint64_t>(size));
  Split split;
  split.validation = std::make_unique<SplitDataset>(dataset, order, 0, validation, "validation");
  split.train = std::make_unique<SplitDataset>(dataset, order, validation, size - validation, "training");
  return split;
}

}  // namespace lockstep

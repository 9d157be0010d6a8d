#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "io/dataset/dataset.h"
#include "io/dataset/order/permutation.h"
#include "io/probe/findings.h"
#include "src/core/counted.h"
#include "src/core/hash.h"
#include "src/core/rng.h"

namespace lockstep {

namespace {

/// The samples of another data set that are held out, or the others; both in stored order.
class SplitDataset final : public Dataset {
 public:
  enum class Part { held_out, rest };
  /// held_out: ascending.
  SplitDataset(std::shared_ptr<const Dataset> whole, std::shared_ptr<const std::vector<int64_t>> held_out,
               Part part)
      : whole_(std::move(whole)), held_out_(std::move(held_out)), part_(part) {}

  int64_t size() const override {
    const auto held_out = static_cast<int64_t>(held_out_->size());
    return part_ == Part::held_out ? held_out : whole_->size() - held_out;
  }
  const Shape& x_shape() const override { return whole_->x_shape(); }
  DType x_dtype() const override { return whole_->x_dtype(); }
  TargetKind target_kind() const override { return whole_->target_kind(); }
  const Shape& y_shape() const override { return whole_->y_shape(); }
  int64_t classes() const override { return whole_->classes(); }
  Understood understood() const override { return whole_->understood(); }
  const ClassNames& class_names() const override { return whole_->class_names(); }
  int64_t label(int64_t index) const override { return whole_->label(sample_of_whole(index)); }
  std::vector<int64_t> class_targets() const override { return whole_->class_targets(); }

  void read(std::span<const int64_t> indices, std::byte* x, std::byte* y) const override {
    whole_->read(samples_of_whole(indices), x, y);
  }
  std::vector<int64_t> lengths(std::span<const int64_t> indices) const override {
    return whole_->lengths(samples_of_whole(indices));
  }

  std::unique_ptr<Expectation> expect(const ReadingOrder& order) const override {
    ReadingOrder of_whole = order;
    of_whole.sample = [this, order](int64_t step, int64_t slot) {
      const int64_t sample = order.sample(step, slot);
      return sample < 0 ? -1 : sample_of_whole(sample);
    };
    return whole_->expect(of_whole);
  }
  CacheUse cache_use() const override { return whole_->cache_use(); }
  int readers() const override { return whole_->readers(); }

  uint64_t fingerprint() const override {
    StreamingHash hash;
    const uint64_t whole = whole_->fingerprint();
    hash.update(std::as_bytes(std::span(&whole, 1)));
    hash.update(std::as_bytes(std::span(*held_out_)));
    const auto part = static_cast<uint8_t>(part_);
    hash.update(std::as_bytes(std::span(&part, 1)));
    return hash.digest();
  }

  int64_t stored_row(int64_t index) const override { return whole_->stored_row(sample_of_whole(index)); }

  int64_t sample_at(int64_t stored_row) const override {
    const int64_t sample = whole_->sample_at(stored_row);
    if (sample < 0) return -1;
    const int64_t before = held_out_before(sample);
    const bool is_held_out = before < static_cast<int64_t>(held_out_->size()) &&
                             (*held_out_)[static_cast<size_t>(before)] == sample;
    if (is_held_out != (part_ == Part::held_out)) return -1;
    return is_held_out ? before : sample - before;
  }

  StoredSamples stored_samples() const override {
    StoredSamples samples = whole_->stored_samples();
    const double fraction = static_cast<double>(size()) / static_cast<double>(whole_->size());
    int64_t end = 0, before = 0;
    for (int64_t& part : samples.parts) {
      end += part;
      const int64_t own = part_ == Part::held_out ? held_out_before(end) : end - held_out_before(end);
      part = own - before;
      before = own;
    }
    samples.aligned = samples.aligned && samples.block == 1;
    samples.block = std::max<int64_t>(1, std::llround(fraction * static_cast<double>(samples.block)));
    return samples;
  }

  StoredBlocks stored_blocks() const override { return whole_->stored_blocks(); }
  bool in_memory() const override { return whole_->in_memory(); }
  std::string route() const override { return whole_->route(); }
  std::optional<SourceFacts> facts() const override { return whole_->facts(); }

  std::string describe() const override { return part_of(whole_->describe()); }
  std::string describe_stored() const override { return part_of(whole_->describe_stored()); }

 private:
  std::string part_of(const std::string& whole) const {
    return fmt::format("{} ({} part) of {}", counted(size(), "sample"),
                       part_ == Part::held_out ? "validation" : "training", whole);
  }
  int64_t held_out_before(int64_t sample) const {
    return std::lower_bound(held_out_->begin(), held_out_->end(), sample) - held_out_->begin();
  }

  std::vector<int64_t> samples_of_whole(std::span<const int64_t> indices) const {
    std::vector<int64_t> samples(indices.size());
    for (size_t i = 0; i < indices.size(); ++i) {
      INVARIANT(indices[i] >= 0 && indices[i] < size(), "sample {} of {}", indices[i], size());
      samples[i] = sample_of_whole(indices[i]);
    }
    return samples;
  }
  int64_t sample_of_whole(int64_t index) const {
    if (part_ == Part::held_out) return (*held_out_)[static_cast<size_t>(index)];
    // Of the samples before the one that is wanted, `before` are held out: the fewest with which it is behind
    // them.
    size_t before = 0;
    for (size_t end = held_out_->size(); before < end;) {
      const size_t middle = before + (end - before) / 2;
      if ((*held_out_)[middle] - static_cast<int64_t>(middle) <= index)
        before = middle + 1;
      else
        end = middle;
    }
    return index + static_cast<int64_t>(before);
  }

  std::shared_ptr<const Dataset> whole_;
  std::shared_ptr<const std::vector<int64_t>> held_out_;
  Part part_;
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
  auto held_out = std::make_shared<std::vector<int64_t>>(static_cast<size_t>(validation));
  for (size_t i = 0; i < held_out->size(); ++i) (*held_out)[i] = static_cast<int64_t>(order(i));
  std::ranges::sort(*held_out);
  return {.train = std::make_unique<SplitDataset>(dataset, held_out, SplitDataset::Part::rest),
          .validation = std::make_unique<SplitDataset>(dataset, held_out, SplitDataset::Part::held_out)};
}

}  // namespace lockstep

#include "src/train/augment/passes.h"

#include "src/ops/input/augment/one_hot.h"

namespace lockstep {

namespace {

/// One T for each of a rank's samples in host memory, and in each set in the backend's.
template <typename T>
class Draws {
 public:
  explicit Draws(const AugmentSetup& setup)
      : host_(setup.exec, Memory::pinned, static_cast<size_t>(setup.all_rows) * sizeof(T)),
        device_(setup.exec, Memory::device, static_cast<size_t>(setup.sets) * host_.size()) {}

  T& operator[](int64_t row) { return host_.as<T>()[static_cast<size_t>(row)]; }
  void upload(CopyStream& copies, int set) const {
    copies.copy(device_.data() + static_cast<size_t>(set) * host_.size(), host_.data(), host_.size());
  }

  /// Those of a micro-batch: (rows, words).
  template <typename Word>
  ConstTensor part(int64_t number, int64_t rows) const {
    static_assert(sizeof(T) % sizeof(Word) == 0);
    constexpr int64_t kWords = sizeof(T) / sizeof(Word);
    return {device_.data() + static_cast<size_t>(number * rows) * sizeof(T), dtype_of<Word>(),
            kWords == 1 ? Shape{rows} : Shape{rows, kWords}};
  }

 private:
  Buffer host_, device_;
};

Shape volume(int64_t rows, const std::array<int64_t, 3>& extents, int64_t channels) {
  return {rows, extents[0], extents[1], extents[2], channels};
}

class ResamplePass final : public AugmentationPass {
 public:
  ResamplePass(const AugmentSetup& setup, const AugmentedSamples& before, const AugmentedSamples& after)
      : setup_(setup), before_(before), after_(after), placements_(setup) {}

  bool moves_x() const override { return true; }
  void put(int64_t row, const AugmentDraw& draw) override { placements_[row] = draw.placement; }
  void upload(CopyStream& copies, int set) override { placements_.upload(copies, set); }

  void run(int64_t number, AugmentedBatch& batch) const override {
    const ConstTensor placements = placements_.part<int64_t>(number, setup_.rows);
    const auto volume_of = [&](const AugmentedSamples& samples, int64_t channels) {
      return volume(setup_.rows, samples.extents, channels);
    };
    const Tensor moved = batch.destination(after_.shape.batched(setup_.rows));
    resample(setup_.exec, {before_.extents, after_.extents, before_.channels, /*nearest=*/false}, placements,
             setup_.zero, batch.x.reshaped(volume_of(before_, before_.channels)),
             moved.reshaped(volume_of(after_, after_.channels)));
    batch.x = moved;
    if (!before_.has_masks || !batch.y) return;
    const Shape mask = volume_of(before_, setup_.target_width);
    const Tensor moved_mask = batch.target_destination(setup_.target_dtype, mask);
    resample(setup_.exec, {before_.extents, after_.extents, setup_.target_width, setup_.nearest_masks},
             placements, setup_.mask_fill, batch.y.reshaped(mask), moved_mask);
    batch.y = moved_mask.reshaped(batch.y.shape());
  }

 private:
  const AugmentSetup& setup_;
  AugmentedSamples before_, after_;
  Draws<Placement> placements_;
};

class ColorPass final : public AugmentationPass {
 public:
  ColorPass(const AugmentSetup& setup, const AugmentedSamples& samples)
      : setup_(setup), samples_(samples), factors_(setup) {}

  bool moves_x() const override { return false; }
  void put(int64_t row, const AugmentDraw& draw) override { factors_[row] = draw.color; }
  void upload(CopyStream& copies, int set) override { factors_.upload(copies, set); }

  void run(int64_t number, AugmentedBatch& batch) const override {
    const int64_t channels = samples_.channels;
    adjust_color(
        setup_.exec, setup_.max, factors_.part<float>(number, setup_.rows), setup_.scale, setup_.zero,
        batch.x.reshaped({setup_.rows, batch.x.shape().elements() / (setup_.rows * channels), channels}));
  }

 private:
  const AugmentSetup& setup_;
  AugmentedSamples samples_;
  Draws<ColorFactors> factors_;
};

class NoisePass final : public AugmentationPass {
 public:
  explicit NoisePass(const AugmentSetup& setup) : setup_(setup), keys_(setup), deviations_(setup) {}

  bool moves_x() const override { return false; }
  void put(int64_t row, const AugmentDraw& draw) override {
    keys_[row] = draw.noise_key;
    deviations_[row] = draw.noise_deviation;
  }
  void upload(CopyStream& copies, int set) override {
    keys_.upload(copies, set);
    deviations_.upload(copies, set);
  }
  void run(int64_t number, AugmentedBatch& batch) const override {
    add_noise(setup_.exec, keys_.part<int64_t>(number, setup_.rows),
              deviations_.part<float>(number, setup_.rows), batch.x);
  }

 private:
  const AugmentSetup& setup_;
  Draws<NoiseKey> keys_;
  Draws<float> deviations_;
};

/// Erasing, and mixing with the partner, which changes the targets too.
class PastePass final : public AugmentationPass {
 public:
  PastePass(const AugmentSetup& setup, const AugmentedSamples& samples, bool mixes)
      : setup_(setup),
        samples_(samples),
        mixes_(mixes),
        patches_(setup),
        target_patches_(setup),
        own_(setup),
        own_of_target_(setup) {}

  bool moves_x() const override { return true; }
  void put(int64_t row, const AugmentDraw& draw) override {
    patches_[row] = draw.patch;
    own_[row] = draw.own;
    // Targets without positions are one position.
    target_patches_[row] = {.partner = draw.patch.partner, .extent = {1, 1, 1}};
    own_of_target_[row] = draw.own_of_target;
  }
  void upload(CopyStream& copies, int set) override {
    patches_.upload(copies, set);
    own_.upload(copies, set);
    if (!mixes_) return;
    target_patches_.upload(copies, set);
    own_of_target_.upload(copies, set);
  }

  void run(int64_t number, AugmentedBatch& batch) const override {
    const Shape shape = volume(setup_.rows, samples_.extents, samples_.channels);
    const Tensor pasted = batch.destination(batch.x.shape());
    paste(setup_.exec, {samples_.extents, samples_.channels}, patches_.part<int64_t>(number, setup_.rows),
          own_.part<float>(number, setup_.rows), batch.x.reshaped(shape), pasted.reshaped(shape));
    batch.x = pasted;
    if (!mixes_ || !batch.y) return;
    if (samples_.has_masks)
      mix_masks(number, batch);
    else
      mix_targets(number, batch);
  }

 private:
  void mix_masks(int64_t number, AugmentedBatch& batch) const {
    const Shape mask = volume(setup_.rows, samples_.extents, setup_.target_width);
    const Tensor mixed = batch.target_destination(setup_.target_dtype, mask);
    paste(setup_.exec, {samples_.extents, setup_.target_width}, patches_.part<int64_t>(number, setup_.rows),
          own_.part<float>(number, setup_.rows), batch.y.reshaped(mask), mixed);
    batch.y = mixed.reshaped(batch.y.shape());
  }

  void mix_targets(int64_t number, AugmentedBatch& batch) const {
    const Shape flat{setup_.rows, setup_.target_width};
    if (batch.y.dtype() == DType::i32) {
      const Tensor probabilities = batch.target_destination(DType::f32, flat);
      one_hot(setup_.exec, batch.y.reshaped({setup_.rows}), probabilities);
      batch.y = probabilities;
    }
    const Shape shape = volume(setup_.rows, {1, 1, 1}, setup_.target_width);
    const Tensor mixed = batch.target_destination(DType::f32, shape);
    paste(setup_.exec, {{1, 1, 1}, setup_.target_width}, target_patches_.part<int64_t>(number, setup_.rows),
          own_of_target_.part<float>(number, setup_.rows), batch.y.reshaped(shape), mixed);
    batch.y = mixed.reshaped(flat);
  }

  const AugmentSetup& setup_;
  AugmentedSamples samples_;
  bool mixes_;
  Draws<Patch> patches_, target_patches_;
  Draws<float> own_, own_of_target_;
};

}  // namespace

Tensor AugmentedBatch::destination(const Shape& shape) {
  INVARIANT(moves_left > 0, "more passes than planned");
  if (--moves_left == 0) return input;
  const Tensor& to = scratch[next_scratch];
  next_scratch = 1 - next_scratch;
  return {to.raw(), DType::f32, shape};
}

Tensor AugmentedBatch::target_destination(DType dtype, const Shape& shape) {
  const Tensor& to = spare_y[next_spare];
  next_spare = 1 - next_spare;
  return {to.raw(), dtype, shape};
}

std::unique_ptr<AugmentationPass> make_pass(AugmentPass kind, const AugmentSetup& setup,
                                            const AugmentedSamples& before, const AugmentedSamples& after) {
  switch (kind) {
    case AugmentPass::resample:
      return std::make_unique<ResamplePass>(setup, before, after);
    case AugmentPass::color:
      return std::make_unique<ColorPass>(setup, before);
    case AugmentPass::noise:
      return std::make_unique<NoisePass>(setup);
    case AugmentPass::erase:
      return std::make_unique<PastePass>(setup, before, /*mixes=*/false);
    case AugmentPass::mix:
      break;
  }
  return std::make_unique<PastePass>(setup, before, /*mixes=*/true);
}

}  // namespace lockstep

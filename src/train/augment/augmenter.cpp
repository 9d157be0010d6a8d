#include "src/train/augment/augmenter.h"

#include <algorithm>
#include <utility>

#include "src/core/hash.h"
#include "src/train/augment/kinds.h"

namespace lockstep {

namespace {

/// A key for the random numbers of one entry of the list in one epoch.
uint64_t key_of(uint64_t seed, const std::string& name, size_t entry, int64_t epoch) {
  const Random4 words =
      philox(seed, hash_name(fmt::format("augment.{}", name)) + entry, static_cast<uint64_t>(epoch));
  return uint64_t{words.word[0]} << 32 | words.word[1];
}

bool begins_with(const Shape& shape, const Shape& beginning) {
  return shape.rank() >= beginning.rank() &&
         std::equal(beginning.extents().begin(), beginning.extents().end(), shape.extents().begin());
}

AugmentedSamples describe_samples(const Shape& shape) {
  AugmentedSamples samples{.shape = shape};
  samples.axes = shape.rank() - 1;
  if (samples.axes > 3)
    fail(ExitCode::usage,
         "data.augment: samples of shape {} have {} axes besides the channels; at most 3 can be augmented.",
         to_string(shape), samples.axes);
  for (int a = 0; a < samples.axes; ++a)
    samples.extents[static_cast<size_t>(3 - samples.axes + a)] = shape[a];
  samples.channels = shape[-1];
  return samples;
}

/// Positions of a sample: its shape without the channels.
Shape positions_of(const AugmentedSamples& samples) {
  return Shape(samples.shape.extents().first(static_cast<size_t>(samples.axes)));
}

/// How the targets follow their samples.
void describe_targets(const Objective& objective, AugmentedSamples& samples) {
  const Shape& target = objective.target_shape();
  samples.has_masks = samples.axes > 0 && begins_with(target, positions_of(samples)) &&
                      objective.kind() != TargetKind::probabilities && target.rank() <= samples.axes + 1;
  samples.blends_targets = objective.kind() != TargetKind::classes || objective.positions() == 1;
}

bool moves_positions(AugmentPass pass) { return pass == AugmentPass::resample || pass == AugmentPass::mix; }

}  // namespace

Augmenter::Augmenter(const Task& task, const Shape& input, int64_t rows, int64_t count, int lanes,
                     Purpose purpose, int sets)
    : task_(task), count_(count) {
  const bool is_cropped = !(task.input().shape == task.stored_shape());
  if (task.augment().empty() || (purpose == Purpose::evaluation && !is_cropped)) return;
  setup_ = {.exec = task.exec(), .rows = rows, .all_rows = rows * count, .sets = sets};
  AugmentedSamples stored = describe_samples(is_cropped ? task.stored_shape() : input);
  describe_targets(task.objective(), stored);
  if (purpose == Purpose::training)
    plan_training(stored);
  else
    plan_evaluation(stored, describe_samples(input));
  prepare(stored, lanes);
}

void Augmenter::plan_training(AugmentedSamples samples) {
  for (const AugmentSpec& spec : task_.augment()) {
    std::unique_ptr<Augmentation> added = augment_kind(spec.name).make(spec.options);
    check(spec, *added, samples);
    const AugmentPass kind = added->pass();
    const AugmentedSamples after = resized(samples, added->size());
    const bool joins =
        !passes_.empty() && passes_.back().kind == AugmentPass::resample && kind == AugmentPass::resample;
    if (!joins) passes_.push_back({kind, {}, samples, after, nullptr});
    passes_.back().entries.push_back(entries_.size());
    passes_.back().after = after;
    entries_.push_back({std::move(added), samples});
    samples = after;
  }
}

void Augmenter::plan_evaluation(const AugmentedSamples& stored, const AugmentedSamples& seen) {
  passes_.push_back({AugmentPass::resample, {}, stored, seen, nullptr});
}

void Augmenter::check(const AugmentSpec& spec, const Augmentation& added,
                      const AugmentedSamples& samples) const {
  const char* const name = spec.name.c_str();
  const Objective& objective = task_.objective();
  added.check(samples);
  const bool moves = moves_positions(added.pass());
  if (moves && objective.positions() > 1 && !samples.has_masks)
    refuse_augmentation(
        name,
        "the targets of a sample, of shape {}, do not have the positions of the sample {}, so "
        "that they cannot be moved along.",
        to_string(objective.target_shape()), to_string(samples.shape));
  if (added.size() > 0 && samples.has_masks)
    refuse_augmentation(name, "targets at each position, of shape {}, cannot be cropped. Set size = 0.",
                        to_string(objective.target_shape()));
  if (added.pass() != AugmentPass::mix) return;
  if (setup_.rows % 2 != 0)
    refuse_augmentation(name,
                        "it mixes samples two by two, but a micro-batch has {}. Set train.micro_batch to an "
                        "even number that divides the batch of a rank.",
                        setup_.rows);
  if (!samples.has_masks && objective.ignored_label() != CrossEntropySpec::kNoLabel)
    refuse_augmentation(name, "targets that train.ignore_label excludes cannot be blended.");
}

/// Allocates everything that the passes need.
void Augmenter::prepare(const AugmentedSamples& stored, int lanes) {
  const Exec exec = task_.exec();
  const Objective& objective = task_.objective();
  std::vector<float> zero, scale;
  for (int64_t c = 0; c < stored.channels; ++c) {
    zero.push_back(task_.normalized_zero(c));
    scale.push_back(task_.normalization_scale(c));
  }
  zero_ = upload(exec, zero);
  scale_ = upload(exec, scale);
  setup_.zero = {zero_.data(), DType::f32, {stored.channels}};
  setup_.scale = {scale_.data(), DType::f32, {stored.channels}};
  setup_.max = task_.x_dtype() == DType::u8 ? 255.f : 0.f;
  setup_.target_dtype = objective.y_dtype();
  setup_.target_width = stored.has_masks
                            ? objective.target_shape().elements() / positions_of(stored).elements()
                            : objective.outputs();
  setup_.nearest_masks = objective.kind() != TargetKind::values;
  const bool ignores = objective.ignored_label() != CrossEntropySpec::kNoLabel;
  // The bits of the class 0 are those of the number 0.
  mask_fill_ = upload(exec, std::vector<int32_t>(static_cast<size_t>(setup_.target_width),
                                                 ignores ? objective.ignored_label() : 0));
  setup_.mask_fill = {mask_fill_.data(), setup_.target_dtype, {setup_.target_width}};

  for (Pass& pass : passes_) {
    pass.device = make_pass(pass.kind, setup_, pass.before, pass.after);
    moves_ += pass.device->moves_x() ? 1 : 0;
    if (!pass.entries.empty()) continue;
    AugmentDraw middle;
    CopyStream copies(exec);
    for (size_t a = 0; a < 3; ++a)
      middle.placement.start[a] = (pass.before.extents[a] - pass.after.extents[a]) / 2 * kPositionOne;
    for (int64_t row = 0; row < setup_.all_rows; ++row) pass.device->put(row, middle);
    pass.device->upload(copies, /*set=*/0);
    copies.join();
  }
  const int64_t row_bytes = setup_.rows * static_cast<int64_t>(sizeof(float));
  const int64_t x_bytes = row_bytes * stored.shape.elements();
  const int64_t y_bytes = row_bytes * std::max(objective.outputs(), objective.target_shape().elements());
  const int x_buffers = std::min(moves_, 2), y_buffers = 2;
  lane_bytes_ = x_buffers * x_bytes + y_buffers * y_bytes;
  const auto buffer = [&](int64_t bytes) { return Buffer(exec, Memory::device, static_cast<size_t>(bytes)); };
  for (int number = 0; number < lanes; ++number) {
    Lane& lane = lanes_.emplace_back();
    for (int i = 0; i < x_buffers; ++i) lane.x.push_back(buffer(x_bytes));
    for (int i = 0; i < y_buffers; ++i) lane.y.push_back(buffer(y_bytes));
  }
}

std::string Augmenter::describe() const {
  std::string text;
  for (const AugmentSpec& spec : task_.augment())
    text += (text.empty() ? "" : ", ") + describe_augmentation(spec);
  const bool moves_masks = std::ranges::any_of(
      passes_, [](const Pass& pass) { return pass.kind == AugmentPass::resample && pass.before.has_masks; });
  return moves_masks ? text + "; targets move along" : text;
}

int64_t Augmenter::partner_of(const Batch& batch, int64_t row) const {
  const int64_t partner = row ^ 1;
  const bool is_real = partner < setup_.all_rows && batch.sample_index.data<int64_t>()[partner] >= 0;
  return is_real ? partner % setup_.rows : -1;
}

void Augmenter::load(CopyStream& copies, const Batch& batch, int set) {
  const int64_t* const sample_index = batch.sample_index.data<int64_t>();
  for (Pass& pass : passes_) {
    std::vector<uint64_t> keys;
    for (const size_t entry : pass.entries)
      keys.push_back(key_of(task_.seed(), task_.augment()[entry].name, entry, batch.epoch));
    for (int64_t row = 0; row < setup_.all_rows; ++row) {
      AugmentDraw draw;
      if (sample_index[row] >= 0) {
        if (pass.kind == AugmentPass::mix) draw.patch.partner = partner_of(batch, row);
        for (size_t i = 0; i < keys.size(); ++i) {
          const Entry& entry = entries_[pass.entries[i]];
          RandomStream random(keys[i], static_cast<uint64_t>(sample_index[row]));
          entry.augmentation->draw(entry.samples, random, draw);
        }
      }
      pass.device->put(row, draw);
    }
    pass.device->upload(copies, set);
  }
}

AugmentedBatch Augmenter::batch_of(const Part& part, Tensor input) const {
  AugmentedBatch batch{.x = input, .input = input, .moves_left = moves_};
  if (!is_active()) return batch;
  const Lane& lane = lanes_[static_cast<size_t>(part.lane)];
  const auto whole = [](const Buffer& buffer) {
    return Tensor(buffer.data(), DType::f32, {static_cast<int64_t>(buffer.as<float>().size())});
  };
  for (size_t i = 0; i < lane.x.size(); ++i) batch.scratch[i] = whole(lane.x[i]);
  for (size_t i = 0; i < lane.y.size(); ++i) batch.spare_y[i] = whole(lane.y[i]);
  if (moves_ == 0) return batch;
  const Shape& stored = passes_.front().before.shape;
  batch.x = {batch.scratch[0].raw(), DType::f32, stored.batched(setup_.rows)};
  batch.next_scratch = 1;
  return batch;
}

Tensor Augmenter::first(const Part& part, Tensor input) const { return batch_of(part, input).x; }

ConstTensor Augmenter::apply(const Part& part, Tensor input, ConstTensor y) const {
  AugmentedBatch batch = batch_of(part, input);
  batch.y = y;
  for (const Pass& pass : passes_) pass.device->run(part.set * count_ + part.number, batch);
  INVARIANT(batch.x.raw() == input.raw(), "augmented samples are not in the network's input");
  return batch.y;
}

}  // namespace lockstep

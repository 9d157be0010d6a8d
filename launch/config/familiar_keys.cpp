#include "launch/config/familiar_keys.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "launch/config/option_table.h"
#include "models/registry.h"

namespace lockstep {

namespace {

/// By the last part of a key, whatever section it was written in.
constexpr Synonym kKeys[] = {
    {"accelerator", "run.device"},
    {"accum_steps", "train.accumulation"},
    {"accumulate_grad_batches", "train.accumulation"},
    {"accumulation_steps", "train.accumulation"},
    {"amp", "run.precision"},
    {"arch", "model.name"},
    {"architecture", "model.name"},
    {"augmentation", "data.augment"},
    {"augmentations", "data.augment"},
    {"backend", "comm.transport"},
    {"base_lr", "optimizer.lr"},
    {"batch", "train.global_batch"},
    {"batch_size", "train.global_batch"},
    {"batch_size_per_gpu", "train.micro_batch"},
    {"betas", "optimizer.beta1"},
    {"bf16", "run.precision"},
    {"block_size", "data.context"},
    {"bs", "train.global_batch"},
    {"bucket_cap_mb", "comm.bucket_mib"},
    {"bucket_size", "comm.bucket_mib"},
    {"cache_size", "data.memory_budget"},
    {"checkpoint_every", "checkpoint.every_steps"},
    {"class_weight", "train.class_weights"},
    {"clip", "train.clip_norm"},
    {"clip_grad_norm", "train.clip_norm"},
    {"clip_gradients", "train.clip_norm"},
    {"context_length", "data.context"},
    {"criterion", "train.loss"},
    {"cuda_graph", "run.capture"},
    {"cuda_graphs", "run.capture"},
    {"cudnn_benchmark", "run.autotune"},
    {"data_format", "data.layout"},
    {"dataset", "data.train"},
    {"decay", "optimizer.weight_decay"},
    {"deterministic", "run.reproducible"},
    {"dev", "data.validation"},
    {"dtype", "run.precision"},
    {"early_stopping", "train.early_stop"},
    {"epoch", "train.epochs"},
    {"eps", "optimizer.epsilon"},
    {"eta", "optimizer.lr"},
    {"eta_min", "schedule.final_lr"},
    {"exp_name", "run.name"},
    {"experiment", "run.name"},
    {"experiment_name", "run.name"},
    {"format", "data.layout"},
    {"fp16", "run.precision"},
    {"freeze_layers", "optimizer.freeze"},
    {"frozen", "optimizer.freeze"},
    {"fsdp", "optimizer.sharded"},
    {"global_batch_size", "train.global_batch"},
    {"gpu", "run.device"},
    {"gpus", "run.device"},
    {"grad_accum", "train.accumulation"},
    {"grad_accum_steps", "train.accumulation"},
    {"grad_clip", "train.clip_norm"},
    {"grad_clip_norm", "train.clip_norm"},
    {"gradient_accumulation", "train.accumulation"},
    {"gradient_accumulation_steps", "train.accumulation"},
    {"gradient_clip", "train.clip_norm"},
    {"gradient_clip_norm", "train.clip_norm"},
    {"gradient_clip_val", "train.clip_norm"},
    {"ignore_index", "train.ignore_label"},
    {"init_checkpoint", "model.init_from"},
    {"iterations", "train.steps"},
    {"iters", "train.steps"},
    {"keep_last", "checkpoint.keep"},
    {"l2", "optimizer.weight_decay"},
    {"learning_rate", "optimizer.lr"},
    {"load_from", "model.init_from"},
    {"log_dir", "run.dir"},
    {"logdir", "run.dir"},
    {"loss_fn", "train.loss"},
    {"loss_function", "train.loss"},
    {"layer_lr", "optimizer.lr_scale"},
    {"lr_mult", "optimizer.lr_scale"},
    {"lr_schedule", "schedule.name"},
    {"lr_scheduler", "schedule.name"},
    {"max_epochs", "train.epochs"},
    {"max_grad_norm", "train.clip_norm"},
    {"max_iter", "train.steps"},
    {"max_iters", "train.steps"},
    {"max_steps", "train.steps"},
    {"max_time", "run.wall_time_minutes"},
    {"max_to_keep", "checkpoint.keep"},
    {"micro_batch_size", "train.micro_batch"},
    {"microbatch_size", "train.micro_batch"},
    {"min_lr", "schedule.final_lr"},
    {"mixed_precision", "run.precision"},
    {"model", "model.name"},
    {"n_classes", "data.classes"},
    {"n_epochs", "train.epochs"},
    {"net", "model.name"},
    {"network", "model.name"},
    {"normalisation", "data.normalize"},
    {"normalise", "data.normalize"},
    {"normalization", "data.normalize"},
    {"num_classes", "data.classes"},
    {"num_epochs", "train.epochs"},
    {"num_iterations", "train.steps"},
    {"num_steps", "train.steps"},
    {"num_threads", "run.threads"},
    {"num_warmup_steps", "schedule.warmup_steps"},
    {"num_workers", "run.threads"},
    {"objective", "train.loss"},
    {"opt", "optimizer.name"},
    {"optim", "optimizer.name"},
    {"optimiser", "optimizer.name"},
    {"optimizer", "optimizer.name"},
    {"out", "run.dir"},
    {"out_dir", "run.dir"},
    {"output", "run.dir"},
    {"output_dir", "run.dir"},
    {"patience", "train.early_stop"},
    {"per_device_batch_size", "train.micro_batch"},
    {"per_device_train_batch_size", "train.micro_batch"},
    {"positive_weight", "train.pos_weight"},
    {"pretrained", "model.init_from"},
    {"random_seed", "run.seed"},
    {"random_state", "run.seed"},
    {"rescale", "data.normalize"},
    {"rho", "optimizer.alpha"},
    {"save_dir", "run.dir"},
    {"save_every", "checkpoint.every_steps"},
    {"save_freq", "checkpoint.every_steps"},
    {"save_interval", "checkpoint.every_steps"},
    {"save_steps", "checkpoint.every_steps"},
    {"save_total_limit", "checkpoint.keep"},
    {"scale", "data.normalize"},
    {"scheduler", "schedule.name"},
    {"seq_len", "data.context"},
    {"sequence_length", "data.context"},
    {"smoothing", "train.label_smoothing"},
    {"standardize", "data.normalize"},
    {"step_size", "schedule.every_steps"},
    {"sync_batchnorm", "train.sync_batch_norm"},
    {"sync_bn", "train.sync_batch_norm"},
    {"test_data", "data.test"},
    {"test_file", "data.test"},
    {"testing", "data.test"},
    {"time_limit", "run.wall_time_minutes"},
    {"timeout", "comm.timeout_seconds"},
    {"train_batch_size", "train.global_batch"},
    {"train_data", "data.train"},
    {"train_file", "data.train"},
    {"training", "data.train"},
    {"training_data", "data.train"},
    {"transforms", "data.augment"},
    {"use_cuda", "run.device"},
    {"val", "data.validation"},
    {"val_data", "data.validation"},
    {"val_file", "data.validation"},
    {"val_split", "data.validation_split"},
    {"valid", "data.validation"},
    {"validation_data", "data.validation"},
    {"validation_fraction", "data.validation_split"},
    {"validation_size", "data.validation_split"},
    {"walltime", "run.wall_time_minutes"},
    {"warmup", "schedule.warmup_steps"},
    {"wd", "optimizer.weight_decay"},
    {"workers", "run.threads"},
    {"zero", "optimizer.sharded"},
};

constexpr Synonym kSections[] = {
    {"checkpoints", "checkpoint"},
    {"communication", "comm"},
    {"dataloader", "data"},
    {"dataset", "data"},
    {"datasets", "data"},
    {"distributed", "comm"},
    {"experiment", "run"},
    {"fit", "train"},
    {"general", "run"},
    {"global", "run"},
    {"lr_scheduler", "schedule"},
    {"net", "model"},
    {"network", "model"},
    {"opt", "optimizer"},
    {"optim", "optimizer"},
    {"optimiser", "optimizer"},
    {"save", "checkpoint"},
    {"scheduler", "schedule"},
    {"solver", "optimizer"},
    {"trainer", "train"},
    {"training", "train"},
};

std::string last_part(const std::string& key) { return key.substr(key.rfind('.') + 1); }

}  // namespace

std::string meant_key(const std::string& key) {
  const std::string last = last_part(key);
  std::vector<std::string> known, lasts;
  for (const Option& option : option_table()) {
    known.push_back(option.key);
    lasts.push_back(last_part(option.key));
  }
  // A right name in the wrong section comes first: [train] lr -> optimizer.lr.
  for (size_t i = 0; i < known.size(); ++i)
    if (same_words(last, lasts[i])) return known[i];
  for (const Synonym& synonym : kKeys)
    if (same_words(last, synonym.typed)) return std::string(synonym.meant);
  for (const ModelEntry& model : model_registry())
    for (const ModelKey& each : model.keys)
      if (same_words(last, each.name)) return "model." + each.name;
  if (std::string near = nearest_name(key, known); !near.empty()) return near;
  const std::string near = nearest_name(last, lasts);
  return near.empty() ? "" : known[static_cast<size_t>(std::ranges::find(lasts, near) - lasts.begin())];
}

std::string meant_section(const std::string& section) {
  std::vector<std::string> known;
  for (const Option& option : option_table())
    if (std::string name = option.key.substr(0, option.key.find('.')); known.empty() || known.back() != name)
      known.push_back(std::move(name));
  return meant_name(section, known, kSections);
}

Synonyms familiar_keys() { return kKeys; }

}  // namespace lockstep

#include "launch/config/familiar_values.h"

#include <algorithm>
#include <iterator>

namespace lockstep {

namespace {

constexpr Synonym kDevices[] = {
    {"gpu", "cuda"}, {"cuda:0", "cuda"}, {"nvidia", "cuda"}, {"host", "cpu"}, {"default", "auto"}};
constexpr Synonym kPrecisionSynonyms[] = {{"float32", "fp32"}, {"f32", "fp32"},  {"float", "fp32"},
                                          {"single", "fp32"},  {"32", "fp32"},   {"bfloat16", "bf16"},
                                          {"float16", "fp16"}, {"half", "fp16"}, {"f16", "fp16"}};
constexpr Synonym kLayouts[] = {{"nhwc", "channels_last"},
                                {"hwc", "channels_last"},
                                {"nchw", "channels_first"},
                                {"chw", "channels_first"}};
constexpr Synonym kNormalizations[] = {
    {"raw", "none"},
    {"off", "none"},
    {"false", "none"},
    {"identity", "none"},
    {"true", "unit"},
    {"minmax", "unit"},
    {"0-1", "unit"},
    {"[0,1]", "unit"},
    {"scale", "unit"},
    {"rescale", "unit"},
    {"divide255", "unit"},
    {"255", "unit"},
    {"standard", "standardize"},
    {"zscore", "standardize"},
    {"z_score", "standardize"},
    {"mu", "mean"},
    {"stddev", "std"},
    {"sigma", "std"},
    {"imagenet", "", "write { mean = [0.485, 0.456, 0.406], std = [0.229, 0.224, 0.225] }."}};
constexpr Synonym kShuffles[] = {{"random", "full"}, {"global", "full"},  {"buffer", "window"},
                                 {"block", "chunk"}, {"chunks", "chunk"}, {"off", "false"},
                                 {"none", "false"},  {"no", "false"},     {"sequential", "false"}};
constexpr Synonym kAugmentations[] = {{"hflip", "flip"},
                                      {"horizontal_flip", "flip"},
                                      {"random_horizontal_flip", "flip"},
                                      {"random_flip", "flip"},
                                      {"vflip", "vertical_flip"},
                                      {"random_vertical_flip", "vertical_flip"},
                                      {"random_crop", "crop"},
                                      {"random_resized_crop", "resized_crop"},
                                      {"rotate", "rotate90"},
                                      {"rot90", "rotate90"},
                                      {"random_rotation", "rotate90"},
                                      {"shift", "time_shift"},
                                      {"jitter", "color_jitter"},
                                      {"colour_jitter", "color_jitter"},
                                      {"random_erasing", "erase"},
                                      {"cutout", "erase"},
                                      {"gaussian_noise", "noise"}};
constexpr Synonym kOptimizers[] = {{"momentum", "sgd"}, {"nag", "sgd"}, {"nesterov", "sgd"}, {"gd", "sgd"}};
constexpr Synonym kSchedules[] = {{"none", "constant"},
                                  {"fixed", "constant"},
                                  {"cosine_annealing", "cosine"},
                                  {"CosineAnnealingLR", "cosine"},
                                  {"cosine_decay", "cosine"},
                                  {"linear", "polynomial"},
                                  {"PolynomialLR", "polynomial"},
                                  {"poly", "polynomial"},
                                  {"StepLR", "step"},
                                  {"exp", "exponential"},
                                  {"ExponentialLR", "exponential"},
                                  {"exponential_decay", "exponential"},
                                  {"OneCycleLR", "one_cycle"},
                                  {"piecewise", "step"}};
constexpr Synonym kLosses[] = {{"mse", "mean_squared_error"},
                               {"mse_loss", "mean_squared_error"},
                               {"l2", "mean_squared_error"},
                               {"regression", "mean_squared_error"},
                               {"ce", "cross_entropy"},
                               {"nll", "cross_entropy"},
                               {"nll_loss", "cross_entropy"},
                               {"cross_entropy_loss", "cross_entropy"},
                               {"softmax_cross_entropy", "cross_entropy"},
                               {"categorical_crossentropy", "cross_entropy"},
                               {"sparse_categorical_crossentropy", "cross_entropy"},
                               {"classification", "cross_entropy"},
                               {"bce", "binary_cross_entropy"},
                               {"bce_with_logits", "binary_cross_entropy"},
                               {"binary_crossentropy", "binary_cross_entropy"},
                               {"mae", "mean_absolute_error"},
                               {"l1", "mean_absolute_error"},
                               {"l1_loss", "mean_absolute_error"},
                               {"huber_loss", "huber"},
                               {"smooth_l1", "huber"}};
constexpr Synonym kTasks[] = {{"classification", "classes"},  {"class", "classes"},
                              {"regression", "values"},       {"segmentation", "classes"},
                              {"multilabel", "labels"},       {"multi_label", "labels"},
                              {"language_modeling", "tokens"}};
constexpr Synonym kOnNan[] = {
    {"ignore", "skip"}, {"continue", "skip"}, {"abort", "stop"}, {"raise", "stop"}, {"error", "stop"}};
constexpr Synonym kTransports[] = {{"gloo", "mpi"}, {"openmpi", "mpi"}, {"host", "mpi"}, {"gpu", "nccl"}};
constexpr Synonym kMetrics[] = {{"val_loss", "validation_loss"},         {"loss", "validation_loss"},
                                {"val_accuracy", "validation_accuracy"}, {"val_acc", "validation_accuracy"},
                                {"accuracy", "validation_accuracy"},     {"acc", "validation_accuracy"}};
constexpr Synonym kMetricNames[] = {{"acc", "accuracy"},
                                    {"roc_auc", "auc"},
                                    {"jaccard", "iou"},
                                    {"mean_iou", "iou"},
                                    {"miou", "iou"},
                                    {"f1_score", "f1"},
                                    {"mean_squared_error", "rmse"},
                                    {"mse", "rmse"},
                                    {"mean_absolute_error", "mae"},
                                    {"r2_score", "r2"}};
constexpr Synonym kSplits[] = {{"val", "validation"}, {"valid", "validation"}, {"dev", "validation"},
                               {"training", "train"}, {"testing", "test"},     {"eval", "test"}};

constexpr Synonym kSourceParts[] = {{"file", "files"}, {"path", "files"}, {"paths", "files"},
                                    {"input", "x"},    {"inputs", "x"},   {"data", "x"},
                                    {"features", "x"}, {"images", "x"},   {"target", "y"},
                                    {"targets", "y"},  {"label", "y"},    {"labels", "y"}};
constexpr Synonym kEarlyStopParts[] = {{"monitor", "metric"}, {"delta", "min_delta"}, {"epochs", "patience"}};

struct ValueNames {
  std::string_view key;
  Synonyms names;
};
constexpr ValueNames kValues[] = {{"run.device", kDevices},
                                  {"run.precision", kPrecisionSynonyms},
                                  {"data.layout", kLayouts},
                                  {"data.normalize", kNormalizations},
                                  {"data.shuffle", kShuffles},
                                  {"data.augment", kAugmentations},
                                  {"optimizer.name", kOptimizers},
                                  {"schedule.name", kSchedules},
                                  {"train.loss", kLosses},
                                  {"data.task", kTasks},
                                  {"train.on_nan", kOnNan},
                                  {"data.train", kSourceParts},
                                  {"data.validation", kSourceParts},
                                  {"data.test", kSourceParts},
                                  {"train.metrics", kMetricNames},
                                  {"train.early_stop", kEarlyStopParts},
                                  {"train.early_stop.metric", kMetrics},
                                  {"comm.gradients", kPrecisionSynonyms},
                                  {"comm.transport", kTransports},
                                  {"--split", kSplits}};

}  // namespace

Synonyms value_synonyms(std::string_view key) {
  const auto found = std::ranges::find(kValues, key, &ValueNames::key);
  return found == std::end(kValues) ? Synonyms{} : found->names;
}

}  // namespace lockstep

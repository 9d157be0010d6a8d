// Writes the binary files of corpus/ from which fuzzing starts: seeds FOLDER
#include <filesystem>
#include <functional>

#include "io/checkpoint/checkpoint.h"
#include "io/hdf5/hdf5.h"
#include "io/safetensors/write_safetensors.h"

namespace lockstep {
namespace {

template <typename T>
std::vector<T> counting(int64_t count, int64_t modulus) {
  std::vector<T> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(static_cast<T>(i % modulus));
  return values;
}

/// Six samples of 4 x 4 values, and their targets.
template <typename X, typename Y>
void dataset(const std::string& path, const Shape& y_shape, const hdf5::Storage& storage_of_x) {
  const hdf5::Lock lock;
  hdf5::File file = hdf5::File::create(path);
  const auto x = counting<X>(6 * 4 * 4, 251);
  const auto y = counting<Y>(y_shape.elements(), 3);
  file.write("/train/x", {x.data(), dtype_of<X>(), {6, 4, 4}}, storage_of_x);
  file.write("/train/y", {y.data(), dtype_of<Y>(), y_shape}, {});
}

void checkpoint(const std::string& path, int64_t elements) {
  const auto weights = counting<float>(elements, 1000);
  Checkpoint result;
  result.tensors = {{"model/dense/weight", {weights.data(), DType::f32, {elements / 2, 2}}},
                    {"optimizer/sgd/momentum/dense/weight", {weights.data(), DType::f32, {elements / 2, 2}}}};
  result.integers = {{"position", 7}, {"seed", 1}};
  result.reals = {{"best", 0.5}};
  result.strings = {{"config", "[run]\nname = \"seed\"\n"}};
  save_checkpoint(path, result);
}

void safetensors(const std::string& path) {
  const auto weights = counting<float>(8, 1000);
  const auto bytes = counting<uint8_t>(8, 251);
  const int64_t steps = 3;
  write_safetensors(path, std::vector<NamedTensor>{{"conv.weight", {weights.data(), DType::f32, {2, 2, 2}}},
                                                   {"norm.num_batches_tracked", {&steps, DType::i64, {}}},
                                                   {"half", {bytes.data(), DType::f16, {4}}},
                                                   {"brain", {bytes.data(), DType::bf16, {2, 2}}},
                                                   {"double", {bytes.data(), DType::f64, {1}}},
                                                   {"none", {bytes.data(), DType::u8, {0}}}});
}

}  // namespace
}  // namespace lockstep

int main(int, char** arguments) {
  using namespace lockstep;
  const std::string folder = arguments[1];
  std::filesystem::create_directories(folder + "/dataset");
  std::filesystem::create_directories(folder + "/checkpoint");
  dataset<uint8_t, int32_t>(folder + "/dataset/bytes.h5", {6}, {});
  dataset<float, float>(folder + "/dataset/one-hot.h5", {6, 3}, {});
  dataset<float, int64_t>(folder + "/dataset/gzip.h5", {6}, {.chunk = {2, 4, 4}, .deflate = 4});
  checkpoint(folder + "/checkpoint/small.h5", 8);
  checkpoint(folder + "/checkpoint/larger.h5", 200);
  std::filesystem::create_directories(folder + "/safetensors");
  safetensors(folder + "/safetensors/all-types");
}

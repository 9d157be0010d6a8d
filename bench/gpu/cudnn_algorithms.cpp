// Times each algorithm of cuDNN's convolution functions for the shapes of some models, in each layout and
// type.
//   build/.../bench/gpu/gpu_cudnn_algorithms [--seconds N] [--small]
// Prints a line of JSON for each convolution, direction, layout and type, with its algorithms in the order in
// which cuDNN recommends them. The most interesting come first; after N seconds (60) it says how many are
// left out, and ends. --small: tiny shapes, to try the program out.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>
#include <vector>

#include "bench/gpu/conv_shapes.h"
#include "bench/gpu/random_values.h"
#include "src/core/text/json.h"
#include "src/device/cuda_context.h"
#include "src/device/device.h"
#include "src/device/timestamp.h"
#include "src/tensor/half.h"

namespace lockstep {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;
using TensorDescriptor = Handle<cudnnTensorDescriptor_t, cudnnDestroyTensorDescriptor>;
using FilterDescriptor = Handle<cudnnFilterDescriptor_t, cudnnDestroyFilterDescriptor>;
using ConvolutionDescriptor = Handle<cudnnConvolutionDescriptor_t, cudnnDestroyConvolutionDescriptor>;

constexpr size_t kWorkspaceBytes = size_t{1} << 30;  // algorithms that need more are left out

/// The types of `run.precision`.
struct Type {
  const char* name;
  cudnnDataType_t data;
  cudnnMathType_t math;
};
constexpr Type kTypes[] = {{"bf16", CUDNN_DATA_BFLOAT16, CUDNN_TENSOR_OP_MATH},
                           {"tf32", CUDNN_DATA_FLOAT, CUDNN_DEFAULT_MATH},
                           {"fp32", CUDNN_DATA_FLOAT, CUDNN_FMA_MATH}};
constexpr std::pair<const char*, cudnnTensorFormat_t> kLayouts[] = {{"NHWC", CUDNN_TENSOR_NHWC},
                                                                    {"NCHW", CUDNN_TENSOR_NCHW}};
constexpr const char* kDirections[] = {"forward", "data gradient", "filter gradient"};

/// Operands for every shape, and the workspace.
struct Operands {
  Buffer x, w, y, workspace;
};

template <typename T>
Operands allocate(Exec exec, const std::vector<ConvShape>& shapes) {
  int64_t x = 0, w = 0, y = 0;
  for (const ConvShape& shape : shapes) {
    x = std::max(x, shape.data());
    w = std::max(w, shape.weights());
    y = std::max(y, shape.result());
  }
  return {random_values<T>(exec, x), random_values<T>(exec, w), random_values<T>(exec, y),
          Buffer(exec, Memory::device, kWorkspaceBytes)};
}

/// A convolution in one layout and type.
class Convolution {
 public:
  Convolution(Exec exec, const ConvShape& shape, cudnnTensorFormat_t layout, const Type& type,
              const Operands& memory)
      : exec_(exec), memory_(memory) {
    describe_tensor(x_, layout, type.data, {shape.samples, shape.channels, shape.edge, shape.edge});
    describe_tensor(y_, layout, type.data,
                    {shape.samples, shape.filters, shape.result_edge(), shape.result_edge()});
    const std::array<int, 4> filter = {shape.filters, shape.channels / shape.groups, shape.window,
                                       shape.window};
    CHECK(cudnnCreateFilterDescriptor(w_.out()));
    CHECK(cudnnSetFilterNdDescriptor(w_.get(), type.data, layout, 4, filter.data()));
    const std::array<int, 2> padding = {shape.padding, shape.padding}, stride = {shape.stride, shape.stride},
                             dilation = {1, 1};
    CHECK(cudnnCreateConvolutionDescriptor(convolution_.out()));
    CHECK(cudnnSetConvolutionNdDescriptor(convolution_.get(), 2, padding.data(), stride.data(),
                                          dilation.data(), CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT));
    CHECK(cudnnSetConvolutionGroupCount(convolution_.get(), shape.groups));
    CHECK(cudnnSetConvolutionMathType(convolution_.get(), type.math));
  }

  /// The algorithms of one of kDirections.
  Json time(size_t direction) const {
    cudnnHandle_t cudnn = exec_.cuda->cudnn();
    const auto x = x_.get(), y = y_.get();
    const auto w = w_.get();
    const auto by = convolution_.get();
    void* const work = memory_.workspace.data();
    void *const x_data = memory_.x.data(), *const w_data = memory_.w.data(), *const y_data = memory_.y.data();
    if (direction == 0)
      return time_listed<cudnnConvolutionFwdAlgoPerf_t>(
          [&](int wanted, int* found, auto* listed) {
            return cudnnGetConvolutionForwardAlgorithm_v7(cudnn, x, w, by, y, wanted, found, listed);
          },
          [&](auto algorithm, size_t* bytes) {
            return cudnnGetConvolutionForwardWorkspaceSize(cudnn, x, w, by, y, algorithm, bytes);
          },
          [&](auto algorithm, size_t bytes) {
            return cudnnConvolutionForward(cudnn, &kOne, x, x_data, w, w_data, by, algorithm, work, bytes,
                                           &kZero, y, y_data);
          });
    if (direction == 1)
      return time_listed<cudnnConvolutionBwdDataAlgoPerf_t>(
          [&](int wanted, int* found, auto* listed) {
            return cudnnGetConvolutionBackwardDataAlgorithm_v7(cudnn, w, y, by, x, wanted, found, listed);
          },
          [&](auto algorithm, size_t* bytes) {
            return cudnnGetConvolutionBackwardDataWorkspaceSize(cudnn, w, y, by, x, algorithm, bytes);
          },
          [&](auto algorithm, size_t bytes) {
            return cudnnConvolutionBackwardData(cudnn, &kOne, w, w_data, y, y_data, by, algorithm, work,
                                                bytes, &kZero, x, x_data);
          });
    return time_listed<cudnnConvolutionBwdFilterAlgoPerf_t>(
        [&](int wanted, int* found, auto* listed) {
          return cudnnGetConvolutionBackwardFilterAlgorithm_v7(cudnn, x, y, by, w, wanted, found, listed);
        },
        [&](auto algorithm, size_t* bytes) {
          return cudnnGetConvolutionBackwardFilterWorkspaceSize(cudnn, x, y, by, w, algorithm, bytes);
        },
        [&](auto algorithm, size_t bytes) {
          return cudnnConvolutionBackwardFilter(cudnn, &kOne, x, x_data, y, y_data, by, algorithm, work,
                                                bytes, &kZero, w, w_data);
        });
  }

 private:
  static constexpr float kOne = 1, kZero = 0;

  static void describe_tensor(TensorDescriptor& tensor, cudnnTensorFormat_t layout, cudnnDataType_t type,
                              const std::array<int, 4>& extents) {
    CHECK(cudnnCreateTensorDescriptor(tensor.out()));
    CHECK(cudnnSetTensorNdDescriptorEx(tensor.get(), layout, type, 4, extents.data()));
  }

  template <typename Performance, typename List, typename Size, typename Run>
  Json time_listed(List list, Size size, Run run) const {
    std::array<Performance, 32> listed{};
    int count = 0;
    Json algorithms = Json::array();
    if (list(static_cast<int>(listed.size()), &count, listed.data()) != CUDNN_STATUS_SUCCESS)
      return algorithms;
    std::set<int> seen;  // the list has an algorithm once for each kind of arithmetic
    for (const Performance& each : std::span(listed).first(static_cast<size_t>(count))) {
      size_t bytes = 0;
      if (each.status != CUDNN_STATUS_SUCCESS || !seen.insert(each.algo).second) continue;
      if (size(each.algo, &bytes) != CUDNN_STATUS_SUCCESS || bytes > kWorkspaceBytes) continue;
      Json algorithm = {{"algorithm", static_cast<int>(each.algo)},
                        {"deterministic", each.determinism == CUDNN_DETERMINISTIC},
                        {"workspace", bytes}};
      const cudnnStatus_t status = run(each.algo, bytes);
      if (status == CUDNN_STATUS_SUCCESS)
        algorithm["us"] = microseconds([&] { CHECK(run(each.algo, bytes)); });
      else
        algorithm["error"] = describe(status);
      algorithms.push_back(algorithm);
    }
    return algorithms;
  }

  /// Of one call, the mean of a few after another one; one is enough if it is slow.
  template <typename Call>
  double microseconds(Call call) const {
    Timestamp start(exec_), end(exec_);
    double us = 0;
    for (const int calls : {1, 5}) {
      start.record(Timestamp::Of::compute);
      for (int i = 0; i < calls; ++i) call();
      end.record(Timestamp::Of::compute);
      synchronize(exec_);
      us = 1e6 * end.seconds_since(start) / calls;
      if (us > 5000) break;
    }
    return us;
  }

  Exec exec_;
  const Operands& memory_;
  TensorDescriptor x_, y_;
  FilterDescriptor w_;
  ConvolutionDescriptor convolution_;
};

std::vector<ConvShape> shapes_to_time(bool small) {
  if (small) return {{"cnn", 2, 1, 9, 4, 3, 1, 0}, {"mobilenet_v1", 2, 4, 6, 4, 3, 2, 1, 4}};
  std::vector<ConvShape> shapes;
  add_cnn(shapes);
  add_resnet50(shapes);
  add_mobilenet(shapes);
  return shapes;
}

void say(const Json& line) {
  std::puts(to_text(line).c_str());
  std::fflush(stdout);
}

void time_all(double seconds, bool small) {
  const Clock::time_point end =
      Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  const Device device(0);
  const Exec exec = device.exec();
  const std::vector<ConvShape> shapes = shapes_to_time(small);
  int64_t left_out = 0;
  for (const auto& [layout_name, layout] : kLayouts) {
    for (const Type& type : kTypes) {
      const Operands memory =
          type.data == CUDNN_DATA_FLOAT ? allocate<float>(exec, shapes) : allocate<bf16>(exec, shapes);
      for (const ConvShape& shape : shapes) {
        const Convolution convolution(exec, shape, layout, type, memory);
        for (size_t direction = 0; direction < std::size(kDirections); ++direction) {
          if (direction == 1 && shape.edge == 224) continue;  // nobody needs the gradient of the images
          if (Clock::now() > end) {
            ++left_out;
            continue;
          }
          say({{"model", shape.model},
               {"shape", shape.name()},
               {"direction", kDirections[direction]},
               {"layout", layout_name},
               {"type", type.name},
               {"algorithms", convolution.time(direction)}});
        }
      }
    }
  }
  say({{"left_out", left_out}});
}

}  // namespace
}  // namespace lockstep

int main(int count, char** arguments) {
  const std::vector<std::string> words(arguments + 1, arguments + count);
  const auto seconds = std::ranges::find(words, "--seconds");
  const bool small = std::ranges::find(words, "--small") != words.end();
  try {
    lockstep::time_all(seconds + 1 < words.end() ? std::stod(*(seconds + 1)) : 60, small);
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
}

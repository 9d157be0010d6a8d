// What the real cuDNN offers, on a machine without a GPU: since 9.8 it plans for a GPU that is described to
// it (cuDNN, "Deviceless Ahead-of-time Compilation"). CudnnPlans plans for the GPU of a handle, so the two
// functions of cuDNN below, which this program defines in place of the library's, describe one instead. A
// program of its own, because it cannot use a GPU.
#include <cudnn.h>
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "src/core/error.h"
#include "src/device/libraries/cudnn_attention.h"
#include "src/device/libraries/cudnn_plan.h"
#include "src/device/libraries/library_check.h"

#if CUDNN_VERSION >= 90800

namespace lockstep {
namespace {

/// The library's own function.
template <typename Function>
Function* original(const char* name) {
  void* const found = dlsym(RTLD_NEXT, name);
  INVARIANT(found != nullptr, "libcudnn has no {}", name);
  return reinterpret_cast<Function*>(found);
}

/// A GPU of compute capability version / 100, otherwise like an H200, as cuDNN 9.19 reads and writes one.
std::string properties(int version) {
  return R"({"deviceVer": )" + std::to_string(version) + R"(, "deviceName": "described", "cudaDeviceId": 0,
    "driverVer": 13000, "multiProcessorCount": 132, "warpSize": 32, "totalGlobalMem": 150000000000,
    "maxGridSize": [2147483647, 65535, 65535], "maxBlockSize": [1024, 1024, 64], "maxThreadsPerBlock": 1024,
    "maxThreadsPerSM": 2048, "maxCtasPerSM": 32, "regsPerBlock": 65536, "maxRegistersPerSM": 65536,
    "maxSharedMemoryPerBlock": 49152, "maxSharedMemoryPerBlockOptin": 232448,
    "reservedSharedMemoryPerBlock": 1024, "l2CacheSize": 62914560, "smClockRateKHz": 1980000,
    "memClockRateKHz": 3201000, "pciDeviceId": 0, "isTccDriver": 0, "supportCoopLaunch": 1})";
}

/// The GPU that descriptors are made for now; set by describe().
cudnnBackendDescriptor_t described = nullptr;

class CudnnEngines : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    if (cudnnGetVersion() < 90800) GTEST_SKIP() << "cuDNN plans for a GPU that is not there since 9.8";
    const std::string json = properties(GetParam());
    CHECK(cudnnBackendCreateDescriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, gpu.out()));
    CHECK(cudnnBackendSetAttribute(gpu.get(), CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                                   static_cast<int64_t>(json.size()), json.data()));
    if (const cudnnStatus_t status = cudnnBackendFinalize(gpu.get()))
      GTEST_SKIP() << "another cuDNN describes GPUs in another way: " << describe(status);
    described = gpu.get();
  }
  void TearDown() override { described = nullptr; }

  CudnnDescriptor gpu;
};
INSTANTIATE_TEST_SUITE_P(Gpu, CudnnEngines, testing::Values(800, 860, 890, 900, 1000, 1200),
                         testing::PrintToStringParamName());

struct Layer {
  const char* name;
  int64_t samples, channels, filters, groups;
  /// Of each axis: extent, window, stride, padding before and behind, dilation.
  std::vector<std::vector<int64_t>> axes;
};

const Layer kLayers[] = {
    {"first of ResNet-50", 64, 3, 64, 1, {{224, 7, 2, 3, 3, 1}, {224, 7, 2, 3, 3, 1}}},
    {"1 x 1", 64, 256, 64, 1, {{56, 1, 1, 0, 0, 1}, {56, 1, 1, 0, 0, 1}}},
    {"3 x 3", 64, 128, 128, 1, {{28, 3, 1, 1, 1, 1}, {28, 3, 1, 1, 1, 1}}},
    {"strided", 64, 128, 128, 1, {{56, 3, 2, 1, 1, 1}, {56, 3, 2, 1, 1, 1}}},
    {"more padding behind", 32, 32, 64, 1, {{56, 3, 2, 0, 1, 1}, {56, 3, 2, 0, 1, 1}}},
    {"dilated", 8, 64, 64, 1, {{33, 3, 1, 2, 2, 2}, {33, 3, 1, 2, 2, 2}}},
    {"groups", 32, 128, 128, 32, {{56, 3, 1, 1, 1, 1}, {56, 3, 1, 1, 1, 1}}},
    {"one axis", 16, 48, 96, 1, {{1000, 9, 2, 4, 4, 1}}},
    {"three axes", 4, 16, 32, 1, {{16, 3, 1, 1, 1, 1}, {32, 3, 1, 1, 1, 1}, {32, 3, 1, 1, 1, 1}}},
    {"odd channels", 5, 7, 9, 1, {{13, 3, 1, 1, 1, 1}, {11, 2, 1, 0, 0, 1}}},
};

CudnnConvolution convolution_of(const Layer& layer) {
  CudnnConvolution c;
  c.data = {layer.samples, layer.channels};
  c.filters = {layer.filters, layer.channels / layer.groups};
  c.result = {layer.samples, layer.filters};
  for (const std::vector<int64_t>& axis : layer.axes) {
    c.data.push_back(axis[0]);
    c.filters.push_back(axis[1]);
    c.result.push_back((axis[0] + axis[3] + axis[4] - axis[5] * (axis[1] - 1) - 1) / axis[2] + 1);
    c.stride.push_back(axis[2]);
    c.pad_before.push_back(axis[3]);
    c.pad_after.push_back(axis[4]);
    c.dilation.push_back(axis[5]);
  }
  return c;
}

TEST_P(CudnnEngines, EveryDirectionHasAPlanInEachPrecision) {
  using enum CudnnConvolution::Direction;
  CudnnPlans plans;
  for (const Layer& layer : kLayers)
    for (const auto& [type, tf32] :
         {std::pair(CUDNN_DATA_FLOAT, false), std::pair(CUDNN_DATA_FLOAT, true),
          std::pair(CUDNN_DATA_BFLOAT16, false), std::pair(CUDNN_DATA_HALF, false)})
      for (const auto& [direction, adds] :
           {std::pair(forward, false), std::pair(data_gradient, false), std::pair(data_gradient, true),
            std::pair(filter_gradient, false)}) {
        CudnnConvolution convolution = convolution_of(layer);
        convolution.direction = direction;
        convolution.type = type;
        convolution.tf32 = tf32;
        convolution.adds = adds;
        const CudnnPlan* const plan = plans.find(nullptr, convolution);
        EXPECT_NE(plan, nullptr) << layer.name << ", type " << type << (tf32 ? " as TF32" : "")
                                 << ", direction " << static_cast<int>(direction) << (adds ? ", adding" : "");
        if (plan == nullptr) continue;
        EXPECT_LE(plan->workspace_bytes(), kCudnnWorkspaceLimit) << layer.name;
      }
}

/// Engines that are compiled at run time need the driver's library, even to be planned only. Without it, a
/// test shows that cuDNN accepts the graph; with a stand-in that accepts every module and has no GPU, that
/// there are plans.
enum class Driver { none, stand_in, of_a_gpu };

Driver find_driver() {
  void* const library = dlopen("libcuda.so.1", RTLD_LAZY);
  if (library == nullptr) return Driver::none;
  auto* const initialize = reinterpret_cast<int (*)(unsigned)>(dlsym(library, "cuInit"));
  return initialize != nullptr && initialize(0) == 0 ? Driver::of_a_gpu : Driver::stand_in;
}

constexpr const char* kOtherGpu = "the GPU that is here may refuse what is compiled for another";

TEST_P(CudnnEngines, AttentionIsPlannedWhereThereIsADriver) {
  const Driver driver = find_driver();
  if (driver == Driver::of_a_gpu) GTEST_SKIP() << kOtherGpu;
  const CudnnAttention shapes[] = {
      {.samples = 8, .positions = 1024, .heads = 12, .width = 64, .causal = true},
      {.type = CUDNN_DATA_HALF, .samples = 2, .positions = 197, .heads = 3, .width = 40}};
  for (CudnnAttention attention : shapes)
    for (const auto direction : {CudnnAttention::Direction::forward, CudnnAttention::Direction::backward}) {
      attention.direction = direction;
      const auto plans = make_plans(graph_of(nullptr, attention), {.compiled_at_run_time = true}, 1);
      EXPECT_EQ(plans.size(), driver == Driver::none ? 0u : 1u) << in_words(attention);
    }
}

// Of a convolution of ResNet-50 in bf16.
TEST_P(CudnnEngines, SumsOverAResultHaveAPlanWhereTheirOrderCanBeFixed) {
  const Driver driver = find_driver();
  if (driver == Driver::of_a_gpu) GTEST_SKIP() << kOtherGpu;
  CudnnConvolution convolution =
      convolution_of({"3 x 3, strided", 64, 128, 128, 1, {{56, 3, 2, 1, 1, 1}, {56, 3, 2, 1, 1, 1}}});
  convolution.type = CUDNN_DATA_BFLOAT16;
  size_t engines = 0;
  CudnnPlans plans;
  plans.choose_by([&](const EngineChoice& choice) { return (engines = choice.engines) - 1; });
  const CudnnPlan* const plan = plans.find_with_sums(
      nullptr, {.convolution = convolution, .workspace_bytes = 0, .other_bytes = 0, .run = {}});
  if (driver == Driver::none || !CudnnGraph::can_fix_order()) {
    EXPECT_EQ(plan, nullptr);
    return;
  }
  EXPECT_EQ(engines, 1 + CudnnPlans::kMaxSumming);
  ASSERT_NE(plan, nullptr);
  // Sums of parts, which are added up in the end.
  EXPECT_GT(plan->workspace_bytes(), 2u * 128u * sizeof(float));
}

}  // namespace

}  // namespace lockstep

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t* descriptor) {
  const cudnnStatus_t status = lockstep::original<decltype(cudnnBackendCreateDescriptor)>(
      "cudnnBackendCreateDescriptor")(type, descriptor);
  if (status != CUDNN_STATUS_SUCCESS || lockstep::described == nullptr) return status;
  const auto describe_gpu = [&](cudnnBackendAttributeName_t name) {
    return cudnnBackendSetAttribute(*descriptor, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                                    &lockstep::described);
  };
  if (type == CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR) return describe_gpu(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP);
  if (type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR)
    return describe_gpu(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP);
  return status;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count, const void* values) {
  // There is no handle without a GPU.
  if (type == CUDNN_TYPE_HANDLE) return CUDNN_STATUS_SUCCESS;
  return lockstep::original<decltype(cudnnBackendSetAttribute)>("cudnnBackendSetAttribute")(
      descriptor, name, type, count, values);
}

#endif

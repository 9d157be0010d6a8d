// Tests of the emulator itself: that descriptors refuse what cuDNN 9.19 refuses, as it answers on a machine
// without a GPU, and that plans refuse memory that they cannot use.
#include <cudnn.h>
#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "src/device/cuda_context.h"
#include "src/device/devices.h"
#include "src/device/libraries/cudnn_plan.h"
#include "tests/support/backend.h"
#include "tests/support/emulator/cudnn_backend.h"

namespace lockstep {
namespace {

/// A convolution of (2, 4, 6, 5) with 3 x 3 filters.
class EmulatedCudnnBackend : public testing::Test {
 protected:
  void SetUp() override {
    if (find_devices().gpus.empty()) GTEST_SKIP() << "LOCKSTEP_EMULATED_GPUS is not set";
    context.emplace(0);
    memory = Buffer({&*context}, Memory::device, 4 * kBytes);
  }

  static CudnnDescriptor create(cudnnBackendDescriptorType_t type) {
    CudnnDescriptor descriptor;
    CHECK(cudnnBackendCreateDescriptor(type, descriptor.out()));
    return descriptor;
  }
  static cudnnStatus_t finalize(const CudnnDescriptor& descriptor) {
    return cudnnBackendFinalize(descriptor.get());
  }
  template <typename T>
  static cudnnStatus_t set(const CudnnDescriptor& descriptor, cudnnBackendAttributeName_t name,
                           cudnnBackendAttributeType_t type, const std::vector<T>& values) {
    return cudnnBackendSetAttribute(descriptor.get(), name, type, static_cast<int64_t>(values.size()),
                                    values.data());
  }
  static cudnnStatus_t refer(const CudnnDescriptor& descriptor, cudnnBackendAttributeName_t name,
                             const CudnnDescriptor& other) {
    return set(descriptor, name, CUDNN_TYPE_BACKEND_DESCRIPTOR,
               std::vector<cudnnBackendDescriptor_t>{other.get()});
  }

  static CudnnDescriptor unfinished_tensor(int64_t id, const std::vector<int64_t>& extents,
                                           const std::vector<int64_t>& strides, int64_t alignment = 16) {
    CudnnDescriptor t = create(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    CHECK(set<int64_t>(t, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, {id}));
    CHECK(set<cudnnDataType_t>(t, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, {CUDNN_DATA_FLOAT}));
    CHECK(set(t, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, extents));
    CHECK(set(t, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, strides));
    CHECK(set<int64_t>(t, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, {alignment}));
    return t;
  }
  static CudnnDescriptor tensor(int64_t id, const std::vector<int64_t>& e) {
    CudnnDescriptor t = unfinished_tensor(id, e, {e[1] * e[2] * e[3], 1, e[1] * e[3], e[1]});
    CHECK(finalize(t));
    return t;
  }
  static CudnnDescriptor geometry(const std::vector<int64_t>& padding, const std::vector<int64_t>& stride,
                                  const std::vector<int64_t>& dilation) {
    CudnnDescriptor g = create(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    CHECK(set<int64_t>(g, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, {2}));
    CHECK(
        set<cudnnDataType_t>(g, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, {CUDNN_DATA_FLOAT}));
    CHECK(set<cudnnConvolutionMode_t>(g, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE,
                                      {CUDNN_CROSS_CORRELATION}));
    CHECK(set(g, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, padding));
    CHECK(set(g, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, padding));
    CHECK(set(g, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, stride));
    CHECK(set(g, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, dilation));
    return g;
  }
  static CudnnDescriptor operation(const CudnnDescriptor& x, const CudnnDescriptor& w,
                                   const CudnnDescriptor& y, const CudnnDescriptor& g) {
    CudnnDescriptor o = create(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
    CHECK(refer(o, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, x));
    CHECK(refer(o, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, w));
    CHECK(refer(o, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, y));
    CHECK(refer(o, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, g));
    CHECK(set<float>(o, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, {1}));
    CHECK(set<float>(o, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, {0}));
    return o;
  }

  std::byte* at(size_t i) { return memory.as<std::byte>().data() + i * kBytes; }
  cudnnStatus_t execute(const CudnnDescriptor& plan, const std::vector<int64_t>& ids,
                        const std::vector<void*>& pointers, void* workspace) {
    const CudnnDescriptor pack = create(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    CHECK(set(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, ids));
    CHECK(set(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, pointers));
    CHECK(set<void*>(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, {workspace}));
    if (const cudnnStatus_t status = finalize(pack)) return status;
    return cudnnBackendExecute(context->cudnn(), plan.get(), pack.get());
  }

  static constexpr size_t kBytes = 4096;
  std::optional<CudaContext> context;
  Buffer memory;
};

TEST_F(EmulatedCudnnBackend, TensorsRefuseWhatCudnnRefuses) {
  const std::vector<int64_t> extents = {2, 4, 6, 5}, strides = {120, 1, 20, 4};
  const CudnnDescriptor t = unfinished_tensor(1, extents, strides);
  EXPECT_EQ(finalize(t), CUDNN_STATUS_SUCCESS);
  EXPECT_EQ(finalize(t), CUDNN_STATUS_BAD_PARAM) << "twice";
  EXPECT_EQ(set<int64_t>(t, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, {16}),
            CUDNN_STATUS_BAD_PARAM);
  EXPECT_EQ(finalize(unfinished_tensor(1, extents, {120, 1, 20})), CUDNN_STATUS_BAD_PARAM);
  EXPECT_EQ(finalize(unfinished_tensor(1, extents, strides, 3)), CUDNN_STATUS_BAD_PARAM);
  EXPECT_EQ(finalize(unfinished_tensor(1, extents, strides, 0)), CUDNN_STATUS_BAD_PARAM);
  const CudnnDescriptor empty = create(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  EXPECT_EQ(finalize(empty), CUDNN_STATUS_BAD_PARAM);
  EXPECT_EQ(set<float>(empty, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_FLOAT, {16}),
            CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE);
  EXPECT_EQ(set<int64_t>(empty, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, {16, 16}),
            CUDNN_STATUS_BAD_PARAM);
  EXPECT_EQ(set<int64_t>(empty, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, {2}),
            CUDNN_STATUS_BAD_PARAM);
  EXPECT_EQ(cudnnBackendDestroyDescriptor(nullptr), CUDNN_STATUS_BAD_PARAM_NULL_POINTER);
}

TEST_F(EmulatedCudnnBackend, ConvolutionsRefuseWhatCudnnRefuses) {
  EXPECT_EQ(finalize(geometry({0, 1}, {1, 2}, {1, 3})), CUDNN_STATUS_SUCCESS);
  EXPECT_EQ(finalize(geometry({-1, 0}, {1, 1}, {1, 1})), CUDNN_STATUS_BAD_PARAM);
  EXPECT_EQ(finalize(geometry({0, 0}, {0, 1}, {1, 1})), CUDNN_STATUS_BAD_PARAM);
  EXPECT_EQ(finalize(geometry({0, 0}, {1, 1}, {0, 1})), CUDNN_STATUS_BAD_PARAM);
  EXPECT_EQ(finalize(geometry({0}, {1, 1}, {1, 1})), CUDNN_STATUS_BAD_PARAM);
}

TEST_F(EmulatedCudnnBackend, OperationsRefuseWhatCudnnRefuses) {
  const CudnnDescriptor x = tensor(1, {2, 4, 6, 5}), w = tensor(2, {3, 4, 3, 3}), y = tensor(3, {2, 3, 4, 3});
  const CudnnDescriptor g = geometry({0, 0}, {1, 1}, {1, 1});
  EXPECT_EQ(finalize(operation(x, w, y, g)), CUDNN_STATUS_BAD_PARAM) << "geometry that is not finalized";
  CHECK(finalize(g));
  const CudnnDescriptor o = operation(x, w, y, g);
  EXPECT_EQ(finalize(o), CUDNN_STATUS_SUCCESS);
  EXPECT_EQ(finalize(operation(x, w, tensor(3, {2, 3, 4, 4}), g)), CUDNN_STATUS_BAD_PARAM);
  EXPECT_EQ(finalize(operation(x, tensor(2, {3, 3, 3, 3}), y, g)), CUDNN_STATUS_BAD_PARAM);
  EXPECT_EQ(finalize(operation(x, tensor(2, {4, 2, 3, 3}), tensor(3, {2, 4, 4, 3}), g)), CUDNN_STATUS_SUCCESS)
      << "two groups";
  EXPECT_EQ(finalize(operation(x, tensor(2, {3, 2, 3, 3}), y, g)), CUDNN_STATUS_BAD_PARAM)
      << "three filters for two groups";
  EXPECT_EQ(finalize(create(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR)), CUDNN_STATUS_BAD_PARAM);
  const CudnnDescriptor plan = create(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  EXPECT_EQ(finalize(plan), CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED);
  int64_t count = 0, bytes = 0;
  EXPECT_EQ(cudnnBackendGetAttribute(plan.get(), CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64,
                                     1, &count, &bytes),
            CUDNN_STATUS_NOT_INITIALIZED);
  EXPECT_EQ(cudnnBackendGetAttribute(o.get(), CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                                     CUDNN_TYPE_INT64, 1, &count, &bytes),
            CUDNN_STATUS_NOT_SUPPORTED);
}

TEST_F(EmulatedCudnnBackend, PlansRefuseMemoryThatTheyCannotUse) {
  const CudnnDescriptor x = tensor(1, {2, 4, 6, 5}), w = tensor(2, {3, 4, 3, 3}), y = tensor(3, {2, 3, 4, 3});
  const CudnnDescriptor g = geometry({0, 0}, {1, 1}, {1, 1});
  CHECK(finalize(g));
  const CudnnDescriptor o = operation(x, w, y, g);
  CHECK(finalize(o));
  const CudnnDescriptor graph = create(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  CHECK(set<cudnnHandle_t>(graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, {context->cudnn()}));
  CHECK(refer(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, o));
  const CudnnDescriptor heuristics = create(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  CHECK(refer(heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph));
  CHECK(set<cudnnBackendHeurMode_t>(heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE,
                                    {CUDNN_HEUR_MODE_A}));
  EXPECT_EQ(finalize(heuristics), CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED);
  CHECK(finalize(graph));
  CHECK(finalize(heuristics));
  int64_t count = 0;
  std::vector<CudnnDescriptor> configs;
  std::vector<cudnnBackendDescriptor_t> results;
  for (int i = 0; i < 16; ++i) {
    configs.push_back(create(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR));
    results.push_back(configs.back().get());
  }
  CHECK(cudnnBackendGetAttribute(heuristics.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                 CUDNN_TYPE_BACKEND_DESCRIPTOR, 16, &count, results.data()));
  ASSERT_EQ(count, 7);
  const auto plan_of = [&](size_t config, cudnnStatus_t expected) {
    CudnnDescriptor plan = create(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    CHECK(set<cudnnHandle_t>(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, {context->cudnn()}));
    CHECK(refer(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configs[config]));
    EXPECT_EQ(finalize(plan), expected);
    return plan;
  };
  plan_of(5, CUDNN_STATUS_NOT_SUPPORTED);
  plan_of(7, CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED);
  const CudnnDescriptor plan = plan_of(6, CUDNN_STATUS_SUCCESS);

  const std::vector<void*> tensors = {at(0), at(1), at(2)};
  EXPECT_EQ(execute(plan, {1, 2, 3}, tensors, at(3)), CUDNN_STATUS_SUCCESS);
  EXPECT_EQ(execute(plan, {1, 2}, tensors, at(3)), CUDNN_STATUS_BAD_PARAM) << "another count";
  EXPECT_EQ(execute(plan, {1, 2, 4}, tensors, at(3)), CUDNN_STATUS_BAD_PARAM) << "a tensor is missing";
  EXPECT_EQ(execute(plan, {1, 2, 3}, {at(0), at(1), nullptr}, at(3)), CUDNN_STATUS_BAD_PARAM_NULL_POINTER);
  EXPECT_EQ(execute(plan, {1, 2, 3}, tensors, nullptr), CUDNN_STATUS_BAD_PARAM_NULL_POINTER);
  EXPECT_EQ(execute(plan, {1, 2, 3}, {at(0) + 4, at(1), at(2)}, at(3)),
            CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER);
  EXPECT_EQ(execute(plan, {1, 2, 3}, {at(0), at(1), at(0)}, at(3)), CUDNN_STATUS_BAD_PARAM) << "overlap";
  CHECK(cudnnSetStream(context->cudnn(), nullptr));
  EXPECT_EQ(execute(plan, {1, 2, 3}, tensors, at(3)), CUDNN_STATUS_BAD_PARAM_STREAM_MISMATCH);
  CHECK(cudnnSetStream(context->cudnn(), context->compute_stream()));

  // The engine offered first sums in another order each time.
  const CudnnDescriptor unsteady = plan_of(0, CUDNN_STATUS_SUCCESS);
  const std::vector<float> factors = test::random_values(240, 3);
  copy({&*context}, at(0), factors.data(), factors.size() * sizeof(float));
  copy({&*context}, at(1), factors.data(), 108 * sizeof(float));
  const auto result = [&](const CudnnDescriptor& of) {
    CHECK(execute(of, {1, 2, 3}, tensors, at(3)));
    std::vector<float> values(72);
    copy({&*context}, values.data(), at(2), values.size() * sizeof(float));
    synchronize({&*context});
    return values;
  };
  EXPECT_EQ(result(plan), result(plan));
  EXPECT_NE(result(unsteady), result(unsteady));
}

}  // namespace
}  // namespace lockstep

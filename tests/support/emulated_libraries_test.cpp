// Tests of the emulator itself: that the libraries compute, offer what must not be chosen, and refuse what
// the documentation does not allow.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <numbers>
#include <vector>

#include "src/device/cuda_context.h"
#include "src/device/devices.h"
#include "tests/support/backend.h"

namespace lockstep {
namespace {

class EmulatedLibraries : public testing::Test {
 protected:
  void SetUp() override {
    if (find_devices().gpus.empty()) GTEST_SKIP() << "LOCKSTEP_EMULATED_GPUS is not set";
    context.emplace(0);
    const std::vector<float> values = test::random_values(kElements, 5);
    for (int i = 0; i < kBuffers; ++i) {
      buffers.emplace_back(Exec{&*context}, Memory::device, kElements * sizeof(float));
      copy({&*context}, at(i), values.data(), buffers.back().size());
    }
    synchronize({&*context});
  }

  float* at(int buffer) { return buffers[static_cast<size_t>(buffer)].as<float>().data(); }
  std::vector<float> download(int buffer) {
    std::vector<float> values(kElements);
    copy({&*context}, values.data(), at(buffer), kElements * sizeof(float));
    synchronize({&*context});
    return values;
  }

  static constexpr int kBuffers = 5;
  static constexpr int64_t kElements = 4096;
  std::optional<CudaContext> context;
  std::vector<Buffer> buffers;
  const float one = 1, zero = 0;
};

/// (5, 7) times (7, 3), column-major, plus a bias of 5.
class EmulatedCublasLt : public EmulatedLibraries {
 protected:
  void SetUp() override {
    EmulatedLibraries::SetUp();
    if (IsSkipped()) return;
    CHECK(cublasLtMatmulDescCreate(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    const uint32_t epilogue = CUBLASLT_EPILOGUE_BIAS;
    CHECK(cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, 4));
    set_bias(at(3));
    CHECK(cublasLtMatrixLayoutCreate(&a, CUDA_R_32F, 5, 7, 5));
    CHECK(cublasLtMatrixLayoutCreate(&b, CUDA_R_32F, 7, 3, 7));
    CHECK(cublasLtMatrixLayoutCreate(&d, CUDA_R_32F, 5, 3, 5));
    CHECK(cublasLtMatmulPreferenceCreate(&preference));
    const uint64_t most = 4096;
    CHECK(
        cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &most, 8));
  }
  void set_bias(const void* bias) {
    CHECK(cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias));
  }
  std::vector<cublasLtMatmulHeuristicResult_t> candidates() {
    std::vector<cublasLtMatmulHeuristicResult_t> all(8);
    int found = 0;
    CHECK(cublasLtMatmulAlgoGetHeuristic(context->cublas(), operation, a, b, d, d, preference, 8, all.data(),
                                         &found));
    all.resize(static_cast<size_t>(found));
    return all;
  }
  cublasStatus_t multiply(const cublasLtMatmulHeuristicResult_t& candidate, const void* a_data, void* d_data,
                          void* workspace, size_t bytes) {
    return cublasLtMatmul(context->cublas(), operation, &one, a_data, a, at(1), b, &zero, d_data, d, d_data,
                          d, &candidate.algo, workspace, bytes, context->compute_stream());
  }
  cublasStatus_t multiply(const cublasLtMatmulHeuristicResult_t& candidate) {
    return multiply(candidate, at(0), at(2), at(4), candidate.workspaceSize);
  }

  cublasLtMatmulDesc_t operation = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, d = nullptr;
  cublasLtMatmulPreference_t preference = nullptr;
};

TEST_F(EmulatedCublasLt, EveryAlgorithmThatWorksMultiplies) {
  int works = 0;
  for (const auto& candidate : candidates()) {
    if (candidate.state != CUBLAS_STATUS_SUCCESS) continue;
    ++works;
    ASSERT_EQ(multiply(candidate), CUBLAS_STATUS_SUCCESS);
    const std::vector<float> left = download(0), right = download(1), result = download(2),
                             bias = download(3);
    for (size_t i = 0; i < 5; ++i)
      for (size_t j = 0; j < 3; ++j) {
        double expected = bias[i];
        for (size_t k = 0; k < 7; ++k) expected += double{left[k * 5 + i]} * right[j * 7 + k];
        EXPECT_NEAR(result[j * 5 + i], expected, 1e-4);
      }
  }
  EXPECT_EQ(works, 3);
  EXPECT_EQ(candidates().size(), 4u);
}

TEST_F(EmulatedCublasLt, TheFirstAlgorithmGivesOtherBitsEachTimeAndTheReductionMaskLeavesItOut) {
  const auto bits_of = [&](const cublasLtMatmulHeuristicResult_t& candidate) {
    EXPECT_EQ(multiply(candidate), CUBLAS_STATUS_SUCCESS);
    return download(2);
  };
  EXPECT_NE(bits_of(candidates().front()), bits_of(candidates().front()));
  const uint32_t mask = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
  CHECK(
      cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &mask, 4));
  int works = 0;
  for (const auto& candidate : candidates()) {
    if (candidate.state != CUBLAS_STATUS_SUCCESS) continue;
    ++works;
    EXPECT_EQ(bits_of(candidate), bits_of(candidate));
  }
  EXPECT_EQ(works, 2);
}

TEST_F(EmulatedCublasLt, RefusesMisuse) {
  const auto split = candidates()[2];
  ASSERT_GT(split.workspaceSize, 0u);
  EXPECT_EQ(multiply(split), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(multiply(split, at(0), at(2), at(4), split.workspaceSize - 1), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(multiply(split, at(0), at(2), nullptr, split.workspaceSize), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(multiply(split, at(0), at(2), at(4) + 4, split.workspaceSize), CUBLAS_STATUS_INVALID_VALUE)
      << "a workspace aligned to 16 bytes";
  EXPECT_EQ(multiply(split, at(0) + 4, at(2), at(4), split.workspaceSize), CUBLAS_STATUS_INVALID_VALUE)
      << "less aligned than promised";
  EXPECT_EQ(multiply(split, at(0), at(0), at(4), split.workspaceSize), CUBLAS_STATUS_INVALID_VALUE)
      << "the result in an input";
  EXPECT_EQ(multiply(split, at(4), at(2), at(4), split.workspaceSize), CUBLAS_STATUS_INVALID_VALUE)
      << "an input in the workspace";
  set_bias(nullptr);
  EXPECT_EQ(multiply(split), CUBLAS_STATUS_INVALID_VALUE);
  set_bias(at(3));

  const int32_t transpose = CUBLAS_OP_T;
  CHECK(cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_TRANSB, &transpose, 4));
  EXPECT_EQ(multiply(split), CUBLAS_STATUS_INVALID_VALUE) << "sizes that do not fit";
  const int32_t plain = CUBLAS_OP_N;
  CHECK(cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_TRANSB, &plain, 4));
  CHECK(cublasLtMatrixLayoutDestroy(a));
  EXPECT_EQ(multiply(split), CUBLAS_STATUS_INVALID_VALUE) << "a layout that is gone";
  CHECK(cublasLtMatrixLayoutCreate(&a, CUDA_R_32F, 5, 7, 6));
  EXPECT_EQ(multiply(split), CUBLAS_STATUS_INVALID_VALUE) << "an algorithm of another problem";
  CHECK(cublasLtMatrixLayoutCreate(&a, CUDA_R_32F, 5, 7, 4));
  EXPECT_EQ(multiply(split), CUBLAS_STATUS_INVALID_VALUE) << "columns that overlap";
}

/// (8, 16) times (16, 3), and a GELU.
class EmulatedCublasLtGelu : public EmulatedCublasLt {
 protected:
  void SetUp() override {
    EmulatedCublasLt::SetUp();
    if (IsSkipped()) return;
    const uint32_t epilogue = CUBLASLT_EPILOGUE_GELU_AUX;
    CHECK(cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, 4));
    for (cublasLtMatrixLayout_t layout : {a, b, d}) CHECK(cublasLtMatrixLayoutDestroy(layout));
    CHECK(cublasLtMatrixLayoutCreate(&a, CUDA_R_32F, 8, 16, 8));
    CHECK(cublasLtMatrixLayoutCreate(&b, CUDA_R_32F, 16, 3, 16));
    CHECK(cublasLtMatrixLayoutCreate(&d, CUDA_R_32F, 8, 3, 8));
    set_sum(at(3), 16);
  }
  void set_sum(void* sum, int64_t leading) {
    CHECK(cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, &sum, 8));
    CHECK(cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, &leading, 8));
  }
  cublasStatus_t ask(cublasLtMatrixLayout_t left, cublasLtMatrixLayout_t right) {
    cublasLtMatmulHeuristicResult_t result;
    int found = 0;
    return cublasLtMatmulAlgoGetHeuristic(context->cublas(), operation, left, right, d, d, preference, 1,
                                          &result, &found);
  }
};

TEST_F(EmulatedCublasLtGelu, StoresWhatTheGeluIsAppliedTo) {
  ASSERT_EQ(multiply(candidates().back()), CUBLAS_STATUS_SUCCESS);
  const std::vector<float> left = download(0), right = download(1), result = download(2), sum = download(3);
  for (size_t i = 0; i < 8; ++i)
    for (size_t j = 0; j < 3; ++j) {
      double expected = 0;
      for (size_t k = 0; k < 16; ++k) expected += double{left[k * 8 + i]} * right[j * 16 + k];
      EXPECT_NEAR(sum[j * 16 + i], expected, 1e-4);
      EXPECT_NEAR(result[j * 8 + i],
                  expected / 2 *
                      (1 + std::tanh(std::sqrt(2 / std::numbers::pi) *
                                     (expected + 0.044715 * std::pow(expected, 3)))),
                  1e-4);
    }
}

TEST_F(EmulatedCublasLtGelu, RefusesMisuse) {
  const auto candidate = candidates().back();
  set_sum(nullptr, 16);
  EXPECT_EQ(multiply(candidate), CUBLAS_STATUS_INVALID_VALUE);
  set_sum(at(2), 16);
  EXPECT_EQ(multiply(candidate), CUBLAS_STATUS_INVALID_VALUE) << "the sum in the result";
  set_sum(at(0), 16);
  EXPECT_EQ(multiply(candidate), CUBLAS_STATUS_INVALID_VALUE) << "the sum in an input";
  set_sum(at(3) + 4, 16);
  EXPECT_EQ(multiply(candidate), CUBLAS_STATUS_INVALID_VALUE) << "less aligned than promised";
  set_sum(at(3), 24);
  EXPECT_EQ(multiply(candidate), CUBLAS_STATUS_INVALID_VALUE) << "an algorithm of another problem";
  for (const int64_t leading : {0, 12}) {
    set_sum(at(3), leading);
    EXPECT_EQ(ask(a, b), CUBLAS_STATUS_INVALID_VALUE) << leading;
  }
  set_sum(at(3), 16);
  EXPECT_EQ(ask(a, b), CUBLAS_STATUS_SUCCESS);
  CHECK(cublasLtMatrixLayoutCreate(&a, CUDA_R_32F, 8, 7, 8));
  CHECK(cublasLtMatrixLayoutCreate(&b, CUDA_R_32F, 7, 3, 7));
  EXPECT_EQ(ask(a, b), CUBLAS_STATUS_NOT_SUPPORTED);
}

/// 3x3 filters over (2, 6, 5, 4), channels-last.
class EmulatedCudnn : public EmulatedLibraries {
 protected:
  void SetUp() override {
    EmulatedLibraries::SetUp();
    if (IsSkipped()) return;
    CHECK(cudnnCreateTensorDescriptor(&x));
    CHECK(cudnnCreateTensorDescriptor(&y));
    CHECK(cudnnCreateFilterDescriptor(&w));
    CHECK(cudnnCreateConvolutionDescriptor(&convolution));
    CHECK(set_tensor(x, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, {2, 4, 6, 5}));
    CHECK(set_tensor(y, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, {2, 3, 4, 3}));
    CHECK(set_filter(w, {3, 4, 3, 3}));
    CHECK(set_convolution({0, 0}, {1, 1}, {1, 1}));
  }
  static cudnnStatus_t set_tensor(cudnnTensorDescriptor_t tensor, cudnnTensorFormat_t format,
                                  cudnnDataType_t type, const std::vector<int>& extents) {
    return cudnnSetTensorNdDescriptorEx(tensor, format, type, static_cast<int>(extents.size()),
                                        extents.data());
  }
  static cudnnStatus_t set_filter(cudnnFilterDescriptor_t filter, const std::vector<int>& extents,
                                  cudnnDataType_t type = CUDNN_DATA_FLOAT) {
    return cudnnSetFilterNdDescriptor(filter, type, CUDNN_TENSOR_NHWC, static_cast<int>(extents.size()),
                                      extents.data());
  }
  cudnnStatus_t set_convolution(const std::vector<int>& padding, const std::vector<int>& stride,
                                const std::vector<int>& dilation) {
    return cudnnSetConvolutionNdDescriptor(convolution, static_cast<int>(padding.size()), padding.data(),
                                           stride.data(), dilation.data(), CUDNN_CROSS_CORRELATION,
                                           CUDNN_DATA_FLOAT);
  }
  cudnnStatus_t forward(cudnnConvolutionFwdAlgo_t algorithm, size_t bytes) {
    return cudnnConvolutionForward(context->cudnn(), &one, x, at(0), w, at(1), convolution, algorithm, at(4),
                                   bytes, &zero, y, at(2));
  }
  std::vector<float> filter_gradient(cudnnConvolutionBwdFilterAlgo_t algorithm) {
    EXPECT_EQ(cudnnConvolutionBackwardFilter(context->cudnn(), &one, x, at(0), y, at(2), convolution,
                                             algorithm, at(4), kElements * sizeof(float), &zero, w, at(3)),
              CUDNN_STATUS_SUCCESS);
    return download(3);
  }

  cudnnTensorDescriptor_t x = nullptr, y = nullptr;
  cudnnFilterDescriptor_t w = nullptr;
  cudnnConvolutionDescriptor_t convolution = nullptr;
};

TEST_F(EmulatedCudnn, OnlyTheUnsteadyAlgorithmGivesOtherBitsEachTime) {
  EXPECT_EQ(filter_gradient(CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1),
            filter_gradient(CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1));
  EXPECT_NE(filter_gradient(CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0),
            filter_gradient(CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0));
}

TEST_F(EmulatedCudnn, RefusesMisuse) {
  const auto algorithm = CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM;
  size_t bytes = 0;
  CHECK(cudnnGetConvolutionForwardWorkspaceSize(context->cudnn(), x, w, convolution, y, algorithm, &bytes));
  ASSERT_GT(bytes, 0u);
  EXPECT_EQ(forward(algorithm, bytes), CUDNN_STATUS_SUCCESS);
  EXPECT_EQ(forward(algorithm, bytes - 1), CUDNN_STATUS_BAD_PARAM_SIZE_INSUFFICIENT);
  EXPECT_EQ(forward(CUDNN_CONVOLUTION_FWD_ALGO_FFT, bytes), CUDNN_STATUS_NOT_SUPPORTED);

  CHECK(set_tensor(y, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, {2, 3, 4, 3}));
  EXPECT_EQ(forward(algorithm, bytes), CUDNN_STATUS_NOT_SUPPORTED_LAYOUT);
  CHECK(set_tensor(y, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, {2, 3, 4, 4}));
  EXPECT_EQ(forward(algorithm, bytes), CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH);
  CHECK(set_tensor(y, CUDNN_TENSOR_NHWC, CUDNN_DATA_HALF, {2, 3, 4, 3}));
  EXPECT_EQ(forward(algorithm, bytes), CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE);
  CHECK(set_tensor(y, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, {2, 3, 4, 3}));
  CHECK(set_convolution({0, 0, 0}, {1, 1, 1}, {1, 1, 1}));
  EXPECT_EQ(forward(algorithm, bytes), CUDNN_STATUS_BAD_PARAM) << "another number of axes";
  CHECK(set_convolution({0, 0}, {1, 1}, {1, 1}));
  CHECK(cudnnSetStream(context->cudnn(), nullptr));
  EXPECT_EQ(forward(algorithm, bytes), CUDNN_STATUS_BAD_PARAM_STREAM_MISMATCH);
  CHECK(cudnnSetStream(context->cudnn(), context->compute_stream()));
  CHECK(cudnnDestroyFilterDescriptor(w));
  EXPECT_EQ(forward(algorithm, bytes), CUDNN_STATUS_BAD_PARAM);
}

TEST_F(EmulatedCudnn, TakesTwoBytesOnlyForAllThreeAndWithTensorCores) {
  const auto algorithm = CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM;
  CHECK(set_tensor(x, CUDNN_TENSOR_NHWC, CUDNN_DATA_BFLOAT16, {2, 4, 6, 5}));
  CHECK(set_tensor(y, CUDNN_TENSOR_NHWC, CUDNN_DATA_BFLOAT16, {2, 3, 4, 3}));
  EXPECT_EQ(forward(algorithm, 0), CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE) << "filters of float";
  CHECK(set_filter(w, {3, 4, 3, 3}, CUDNN_DATA_HALF));
  EXPECT_EQ(forward(algorithm, 0), CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE) << "filters of another type";
  CHECK(set_filter(w, {3, 4, 3, 3}, CUDNN_DATA_BFLOAT16));
  CHECK(cudnnSetConvolutionMathType(convolution, CUDNN_FMA_MATH));
  EXPECT_EQ(forward(algorithm, 0), CUDNN_STATUS_NOT_SUPPORTED);
  CHECK(cudnnSetConvolutionMathType(convolution, CUDNN_TENSOR_OP_MATH));
  EXPECT_EQ(forward(algorithm, 0), CUDNN_STATUS_SUCCESS);
  EXPECT_EQ(cudnnConvolutionForward(context->cudnn(), &one, x, at(0) + 1, w, at(1), convolution, algorithm,
                                    at(4), 0, &zero, y, at(2)),
            CUDNN_STATUS_BAD_PARAM)
      << "not aligned";
}

TEST_F(EmulatedCudnn, RoundsFloatOnlyIfTensorCoresAreAllowed) {
  const auto product = [&](cudnnMathType_t math) {
    CHECK(cudnnSetConvolutionMathType(convolution, math));
    EXPECT_EQ(forward(CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM, 0), CUDNN_STATUS_SUCCESS);
    return download(2);
  };
  const std::vector<float> rounded = product(CUDNN_DEFAULT_MATH), exact = product(CUDNN_FMA_MATH);
  EXPECT_NE(rounded, exact);
  for (size_t i = 0; i < exact.size(); ++i) EXPECT_NEAR(rounded[i], exact[i], 0x1p-6);
}

// As cuDNN 9.19 answers.
TEST_F(EmulatedCudnn, DescriptorsRefuseWhatCudnnRefuses) {
  const auto tensor = [&](const std::vector<int>& extents) {
    return set_tensor(x, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, extents);
  };
  EXPECT_EQ(tensor({2, 3, 4, 5, 6}), CUDNN_STATUS_SUCCESS);
  EXPECT_EQ(tensor({2, 3, 0, 5}), CUDNN_STATUS_BAD_PARAM);
  EXPECT_EQ(tensor({1 << 10, 1 << 10, 1 << 11, 1}), CUDNN_STATUS_NOT_SUPPORTED);
  EXPECT_EQ(set_filter(w, {2, 3, 4, 5, 6}), CUDNN_STATUS_SUCCESS);
  EXPECT_EQ(set_filter(w, {2, 3}), CUDNN_STATUS_BAD_PARAM);
  EXPECT_EQ(set_filter(w, {2, 3, 0, 5}), CUDNN_STATUS_BAD_PARAM);
  EXPECT_EQ(set_convolution({0, 1, 2}, {1, 2, 1}, {1, 1, 3}), CUDNN_STATUS_SUCCESS);
  EXPECT_EQ(set_convolution({-1, 0}, {1, 1}, {1, 1}), CUDNN_STATUS_BAD_PARAM);
  EXPECT_EQ(set_convolution({0, 0}, {0, 1}, {1, 1}), CUDNN_STATUS_BAD_PARAM);
  EXPECT_EQ(set_convolution({0, 0}, {1, 1}, {0, 1}), CUDNN_STATUS_BAD_PARAM);
}

TEST_F(EmulatedCudnn, HasNoConvolutionAlongOneAxis) {
  CHECK(set_tensor(x, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, {2, 4, 6}));
  CHECK(set_tensor(y, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, {2, 3, 4}));
  CHECK(set_filter(w, {3, 4, 3}));
  CHECK(set_convolution({0}, {1}, {1}));
  EXPECT_EQ(forward(CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM, kElements * sizeof(float)),
            CUDNN_STATUS_NOT_SUPPORTED);
}

}  // namespace
}  // namespace lockstep

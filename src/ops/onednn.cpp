#include "src/ops/onednn.h"

namespace lockstep::onednn {

const dnnl::engine& engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::memory::data_type type_of(DType type) {
  switch (type) {
    case DType::f32:
      return dnnl::memory::data_type::f32;
    case DType::bf16:
      return dnnl::memory::data_type::bf16;
    case DType::f16:
      return dnnl::memory::data_type::f16;
    default:
      fail(ExitCode::bug, "oneDNN gets {}, which is not a type of real numbers", to_string(type));
  }
}

#if DNNL_VERSION_MAJOR >= 3

dnnl::eltwise_forward::primitive_desc describe_eltwise(dnnl::algorithm function, float alpha,
                                                       const dnnl::memory::desc& data) {
  return {engine(), dnnl::prop_kind::forward_training, function, data, data, alpha, 0.f};
}

dnnl::eltwise_backward::primitive_desc describe_eltwise_backward(dnnl::algorithm function, float alpha,
                                                                 const dnnl::memory::desc& data) {
  return {engine(), function, data, data, data, alpha, 0.f, describe_eltwise(function, alpha, data)};
}

#else

dnnl::eltwise_forward::primitive_desc describe_eltwise(dnnl::algorithm function, float alpha,
                                                       const dnnl::memory::desc& data) {
  return {{dnnl::prop_kind::forward_training, function, data, alpha, 0.f}, engine()};
}

dnnl::eltwise_backward::primitive_desc describe_eltwise_backward(dnnl::algorithm function, float alpha,
                                                                 const dnnl::memory::desc& data) {
  return {{function, data, data, alpha, 0.f}, engine(), describe_eltwise(function, alpha, data)};
}

#endif

}  // namespace lockstep::onednn

#include "src/ops/onednn.h"

namespace lockstep::onednn {

const dnnl::engine& engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

}  // namespace lockstep::onednn

#include "src/ops/version.h"

#include <dnnl.hpp>

namespace lockstep {

std::string onednn_library_version() {
  const dnnl_version_t* version = dnnl_version();
  return std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
         std::to_string(version->patch);
}

}  // namespace lockstep

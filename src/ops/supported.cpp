#include "src/ops/supported.h"

#include "src/core/error.h"
#include "src/ops/onednn.h"

namespace lockstep {

namespace {

/// Without such instructions oneDNN computes bf16 more slowly than f32, or not at all. The value of an
/// instruction set has the bits of all sets that it includes.
bool cpu_has_bf16() {
  constexpr auto kBf16 = static_cast<unsigned>(dnnl::cpu_isa::avx512_core_bf16);
  return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & kBf16) == kBf16;
}

}  // namespace

std::string why_unsupported(Exec exec, Precision precision) {
  if (exec.on_cuda()) return {};
  if (precision == Precision::fp16)
    return "The CPU does not train in fp16. Use \"bf16\", which needs no scaling of the loss, or \"fp32\".";
  if (precision == Precision::bf16 && !cpu_has_bf16())
    return "This CPU has no instructions for it (AVX-512 BF16 or AMX). Use \"fp32\".";
  return {};
}

void require_supported(Exec exec, Precision precision) {
  if (const std::string reason = why_unsupported(exec, precision); !reason.empty())
    fail(ExitCode::usage, "run.precision = \"{}\": {}", to_string(precision), reason);
}

}  // namespace lockstep

#pragma once

#include <fmt/format.h>

#include "src/core/counted.h"
#include "src/core/hash.h"
#include "src/graph/layers/shapes.h"
#include "src/ops/attention/attention.h"

namespace lockstep {

// Shared by the layers of attention.

/// The options of attention as the operation takes them. The dropout depends on the layer's name and
/// run.seed.
inline AttentionSpec attention_spec(int64_t heads, bool causal, double dropout,
                                    const LayerIdentity& identity) {
  return {.heads = heads,
          .causal = causal,
          .dropout = {
              .rate = static_cast<float>(dropout), .seed = identity.seed, .layer = hash_name(identity.name)}};
}

/// The inputs of attention: (T, parts C), and optionally a mask (T). Returns the shape of the first. Throws
/// Error(usage) otherwise.
inline const Shape& attention_input(std::span<const Value> inputs, const AttentionSpec& spec, int64_t parts) {
  if (inputs.size() != 1 && inputs.size() != 2)
    fail(ExitCode::usage, "takes one input, or one and a mask, not {}.", inputs.size());
  const Shape& input = only_input(inputs.first(1)).shape;
  if (input.rank() != 2)
    fail(ExitCode::usage, "works on sequences (positions, channels), but its input is {}.", to_string(input));
  if (input[1] % (parts * spec.heads) != 0)
    fail(ExitCode::usage, "{} channels cannot be divided into {}{}.", input[1],
         parts == 1 ? "" : "queries, keys and values of ", counted(spec.heads, "head"));
  if (const int64_t width = input[1] / (parts * spec.heads); width > AttentionSpec::kMaxWidth)
    fail(ExitCode::usage, "its heads are {} wide, but {} is the largest width: use more heads.", width,
         AttentionSpec::kMaxWidth);
  if (inputs.size() == 2) {
    const Shape& mask = only_input(inputs.last(1)).shape;
    if (mask.elements() != input[0])
      fail(ExitCode::usage, "its mask {} does not have one number for each of {} positions.", to_string(mask),
           input[0]);
  }
  return input;
}

/// "4 heads, causal".
inline std::string in_words(const AttentionSpec& spec) {
  return fmt::format("{}{}{}", counted(spec.heads, "head"), spec.causal ? ", causal" : "",
                     spec.dropout.rate > 0 ? fmt::format(", dropout {}", spec.dropout.rate) : "");
}

/// Of one sample, counting what a causal position does not read as nothing.
inline int64_t attention_flops(const AttentionSpec& spec, int64_t positions, int64_t channels) {
  const int64_t pairs = spec.causal ? positions * (positions + 1) / 2 : positions * positions;
  return 4 * pairs * channels;
}

/// The tensors of a micro-batch as the operation reads them; qkv: (N, T, 3 C).
inline AttentionInputs attention_inputs(const LayerContext& context, ConstTensor qkv) {
  AttentionInputs inputs{.qkv = qkv, .mask = {}, .sample_index = context.sample_index, .info = context.info};
  if (context.inputs.size() == 2) inputs.mask = context.inputs[1].reshaped({qkv.shape()[0], qkv.shape()[1]});
  return inputs;
}

/// Without dropout, unless in training.
inline AttentionSpec applied(AttentionSpec spec, const LayerContext& context) {
  if (!context.training) spec.dropout.rate = 0;
  return spec;
}

/// A mask has no gradient.
inline void clear_mask_gradient(Exec exec, const LayerContext& context) {
  if (context.input_gradients.size() == 2 && context.input_gradients[1])
    fill_zero(exec, context.input_gradients[1].raw(), context.input_gradients[1].bytes());
}

}  // namespace lockstep

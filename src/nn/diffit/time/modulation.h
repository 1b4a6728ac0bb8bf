// Adaptive LayerNorm of both branches of a block, shared by adaln and adaln_zero.
#pragma once

#include "kernels/ops.h"
#include "nn/diffit/block.h"

namespace diffit::nn {

/// LN(x) (1 + s) + b before attention and MLP, (s, b) = SiLU(x_t) W (DiT, "adaLN"). With kGates, each branch
/// is multiplied by a gate, and W starts at zero (DiT, "adaLN-Zero").
template <bool kGates>
class AdaptiveLayerNormTime final : public TimeConditioning {
 public:
  using TimeConditioning::TimeConditioning;

  static void describe(const BlockShape& shape, TimeSite site, Structure& structure) {
    if (site != TimeSite::block) return;
    structure.linear("adaln.modulation", shape.time_width, kParts * shape.width, 1, /*bias=*/true,
                     kGates ? Initializer::zero : Initializer::xavier_uniform);
    structure.elementwise("adaln", (kGates ? 4 : 2) * shape.width, shape.pixels);
  }
  at::Tensor transform(const Block& block, const at::Tensor& x, const at::Tensor& time) const override {
    const std::vector<at::Tensor> m = modulation(time);
    const at::Tensor attended = x + gated(m, 0, block.attn(modulated(m, 0, x), time));
    return attended + gated(m, 1, block.mlp(modulated(m, 1, attended), time));
  }
  at::Tensor attention_input(const at::Tensor& x, const at::Tensor& time) const override {
    return modulated(modulation(time), 0, x);
  }

 private:
  static constexpr std::int64_t kParts = kGates ? 6 : 4;

  /// Shift, scale and gate (if there are gates) of attention, then of the MLP, each [B, C].
  std::vector<at::Tensor> modulation(const at::Tensor& time) const {
    return layer(0)(at::silu(time)).chunk(kParts, -1);
  }
  static at::Tensor modulated(const std::vector<at::Tensor>& m, std::size_t branch, const at::Tensor& x) {
    const std::size_t first = branch * kParts / 2;
    return modulate(layer_norm(x, kLayerNormEps), m[first + 1], m[first]);
  }
  static at::Tensor gated(const std::vector<at::Tensor>& m, std::size_t branch, const at::Tensor& result) {
    if constexpr (kGates) return result * expand_to_map(m[branch * kParts / 2 + 2], result);
    return result;
  }
};

}  // namespace diffit::nn

// The latent DiffiT for evaluation alone: what samplers run.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/safetensors.h"
#include "kernels/packed_linear.h"
#include "nn/block.h"
#include "nn/condition_cache.h"
#include "nn/config.h"

namespace diffit {

/// Computes what LatentDiffiT does, of weights that lie once, packed for the machine in the type to compute
/// in. In bfloat16, matrix products and attention are bfloat16; the residual stream, norms, softmax,
/// embedders and the final layer are float32.
///
/// Time and label enter a layer's attention by qkv_temb(t_embed + y_embed) = W t_embed + b + W y_embed: two
/// rows of 3C numbers a layer, which are functions of t and of the label. They are computed once and kept, up
/// to kConditionBytes for times and for labels each (XL/2 in float32: 346 of either); beyond, dropped and
/// computed again when they are asked for.
///
/// One evaluation at a time. No gradients.
class LatentEvaluator {
 public:
  static constexpr std::int64_t kConditionBytes = std::int64_t{128} << 20;

  /// Takes each tensor once, straight into its place; none is referred to afterwards. What is missing,
  /// unexpected, misshapen or not finite is listed in one Error(invalid) that begins with `where`, as by
  /// load_parameters.
  ///   dtype   at::kFloat or at::kBFloat16, to compute in
  LatentEvaluator(const LatentConfig& config, std::span<const TensorView> tensors, const std::string& where,
                  at::ScalarType dtype, at::Device device,
                  const std::function<void(const TensorView&)>& done_with = {});
  ~LatentEvaluator();
  LatentEvaluator(LatentEvaluator&&) noexcept;
  LatentEvaluator& operator=(LatentEvaluator&&) noexcept;

  const LatentConfig& config() const { return config_; }
  at::ScalarType dtype() const { return dtype_; }

  /// x [B, C, S, S] f32, t in 0..999, labels [B] int64 in 0..classes (classes: the null label), on any device
  /// -> [B, 2C, S, S] f32 on the evaluator's: eps, then the variance's position in its range. A picture's
  /// result does not depend on the others' beyond rounding.
  at::Tensor operator()(const at::Tensor& x, double t, const at::Tensor& labels);
  /// The same for a timestep a row: t [B] float32.
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels);

 private:
  struct Layer;
  struct Weights;

  at::Tensor evaluate(const at::Tensor& x, std::span<const std::int64_t> times, const at::Tensor& labels);
  /// The time token's projections: [depth, B, 3C] in the type to compute in.
  at::Tensor projections(std::span<const std::int64_t> times, const at::Tensor& labels);

  LatentConfig config_;
  at::ScalarType dtype_ = at::kFloat;
  at::Device device_ = at::kCPU;
  std::unique_ptr<Weights> weights_;
  ConditionCache times_, labels_;
};

}  // namespace diffit

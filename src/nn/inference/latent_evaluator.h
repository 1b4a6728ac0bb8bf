// Inference-only latent DiffiT, used by the samplers.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/tensors/safetensors.h"
#include "kernels/packed_linear.h"
#include "nn/diffit/config.h"
#include "nn/diffit/embedders.h"
#include "nn/inference/condition_cache.h"
#include "runtime/graph.h"

namespace diffit::nn {

/// Computes the same function as LatentDiffiT. The weights are stored once, prepacked in the compute dtype.
/// In bfloat16, matrix products and attention use bfloat16; the residual stream, norms, softmax, embedders
/// and the final layer use float32.
///
/// Time and label enter the attention of a layer through qkv_temb(t_embed + y_embed) = W t_embed + b + W
/// y_embed: two rows of 3C numbers per layer, which depend on t and on the label alone. They are computed
/// once and cached, up to kConditionBytes for times and for labels each (346 of each for XL/2 in float32). A
/// cache that exceeds its limit is cleared and refilled on demand.
///
/// Not thread-safe: one evaluation at a time. Computes no gradients.
class LatentEvaluator {
 public:
  static constexpr std::int64_t kConditionBytes = std::int64_t{128} << 20;

  /// Reads each tensor once and keeps no reference to it. Throws one Error(invalid), with a message that
  /// begins with `where`, that lists all missing, unexpected, misshapen or non-finite tensors (see
  /// load_parameters). `dtype` is the compute dtype: at::kFloat or at::kBFloat16. `done_with`, if given, is
  /// called for each tensor after it has been read.
  LatentEvaluator(const LatentConfig& config, std::span<const TensorView> tensors, const std::string& where,
                  at::ScalarType dtype, at::Device device,
                  const std::function<void(const TensorView&)>& done_with = {});
  ~LatentEvaluator();
  LatentEvaluator(LatentEvaluator&&) noexcept;
  LatentEvaluator& operator=(LatentEvaluator&&) noexcept;

  const LatentConfig& config() const { return config_; }
  at::ScalarType dtype() const { return dtype_; }

  /// x [B, C, S, S] f32, t in 0..999, labels [B] int64 in 0..classes (classes is the null label), on any
  /// device -> [B, 2C, S, S] f32 on the evaluator's device: eps, then the position of the variance in its
  /// range. The result for one sample is independent of the rest of the batch up to rounding.
  at::Tensor operator()(const at::Tensor& x, double t, const at::Tensor& labels);
  /// The same function with one timestep per row: t [B] float32.
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels);

 private:
  struct Layer;
  struct Weights;

  at::Tensor evaluate(const at::Tensor& x, std::span<const std::int64_t> times, const at::Tensor& labels);
  static at::Tensor network(const LatentConfig& config, at::ScalarType dtype, const Weights& weights,
                            const at::Tensor& x, const at::Tensor& projections);
  /// Keys of labels [B]; those of the last tensor are kept, because to read them from a GPU is to wait for
  /// it.
  const std::vector<std::int64_t>& keys_of(const at::Tensor& labels);
  /// Projections of the time token: [depth, B, 3C] in the compute dtype.
  at::Tensor projections(std::span<const std::int64_t> times, const at::Tensor& labels);

  LatentConfig config_;
  at::ScalarType dtype_ = at::kFloat;
  at::Device device_ = at::kCPU;
  std::unique_ptr<Weights> weights_;
  ConditionCache times_, labels_;
  std::unique_ptr<runtime::Replayed> network_;  // x, projections of the time token -> output
  at::Tensor last_labels_;
  std::int64_t last_version_ = 0;
  std::vector<std::int64_t> last_keys_;
};

}  // namespace diffit::nn

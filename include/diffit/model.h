// A diffusion model in memory: what it is, and its denoiser D(x; sigma).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "diffit/runtime.h"

namespace diffit {

/// What a model file states of its model.
struct ModelInfo {
  std::string path;
  /// False: x are images with values in [-1, 1]. True: x are latents, which an autoencoder decodes.
  bool latent = false;
  std::string network;                        // "diffit", "ddpmpp", "multi_resolution", "vit"
  std::int64_t channels = 0, resolution = 0;  // of x, [channels, resolution, resolution]
  std::int64_t classes = 0;                   // 0: unconditional
  std::vector<std::string> class_names;       // by label; empty: the classes have no names
  std::string prediction;                     // output of the network: "edm", "x0", "eps", "v", "velocity"
  std::string schedule;                       // noise schedule: "edm", "vp", "ve", "flow", "vp_linear"
  bool learned_variance = false;              // the network also predicts the variance of the sampler ddpm
  double sigma_min = 0, sigma_max = 0;        // range of the noise levels that samplers use
  std::int64_t parameters = 0;
  std::string config;         // the complete configuration, as JSON
  std::string device, dtype;  // where it runs: "cpu", "cuda:0"; "f32", "bf16"
};

/// An open model. Copies share the weights. Calls from several threads are safe and run one after another.
class Model {
 public:
  Model() = default;
  /// Whether a model is open. No other function may be called on an empty one.
  explicit operator bool() const noexcept { return impl_ != nullptr; }

  const ModelInfo& info() const;

  /// Returns D(x; sigma), the estimate of the clean x_0 from x = x_0 + sigma n with unit normal noise n. This
  /// holds for every prediction and schedule; for variance-preserving models too, x is not scaled down.
  ///   x       B images or latents, [B, channels, resolution, resolution], the last index fastest; finite
  ///   sigma   noise levels, [B], above 0. A model with the schedule vp_linear is evaluated at the one of its
  ///           1000 noise levels that is nearest.
  ///   labels  classes, [B], 0 to `classes`; `classes` itself is the null label, which means no class. Empty:
  ///           the null label for all.
  /// The result has the shape of x. Rows do not depend on each other but for rounding.
  /// Throws Error: invalid for a wrong size or value, failed if the result is not finite.
  std::vector<float> denoise(std::span<const float> x, std::span<const float> sigma,
                             std::span<const std::int64_t> labels = {}) const;
  /// The same, written to `out`, which has the size of x and may be x itself.
  void denoise(std::span<const float> x, std::span<const float> sigma, std::span<const std::int64_t> labels,
               std::span<float> out) const;

  struct Impl;
  /// For the library's own jobs.
  Impl& impl() const { return *impl_; }

 private:
  friend Model open_model(const std::string& path, const RuntimeOptions& runtime);
  std::shared_ptr<Impl> impl_;
};

/// Opens a model file (.safetensors, .pt, .pth, *.index.json), or a bundled model by its name.
/// Throws Error(invalid) for a file that holds no image-space or latent diffusion model.
Model open_model(const std::string& path, const RuntimeOptions& runtime = {});

}  // namespace diffit

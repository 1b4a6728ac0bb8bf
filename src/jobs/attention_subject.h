// A model as diffit/attention.h looks at it: one image at a time, image-space or latent.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "analysis/network_change.h"
#include "diffit/attention.h"
#include "diffusion/parameterisation.h"
#include "diffusion/sample_request.h"
#include "model/model_file.h"
#include "nn/vae/vae.h"
#include "runtime/runtime.h"

namespace diffit::jobs {

/// Not thread-safe.
class AttentionSubject {
 public:
  /// `vae`: as for open_attention().
  AttentionSubject(const WeightsFile& file, const std::string& vae, const Runtime& runtime);

  const std::vector<AttentionLayerInfo>& layers() const { return layers_; }
  std::int64_t classes() const { return classes_; }
  const std::vector<std::int64_t>& shape() const { return shape_; }  // of x, [C, R, R]
  SigmaRange range() const;
  /// The noise level that is used for `sigma`: itself, or that of the nearest timestep.
  double level(double sigma) const;

  /// [1] int64, or undefined for a model without classes.
  at::Tensor labels(const std::optional<std::int64_t>& label) const;
  at::Tensor time_token(double sigma, const at::Tensor& labels) const;
  /// D(x; sigma) of x [1, C, R, R] float32, on the device of the model; `observer` sees every layer.
  at::Tensor denoise(const at::Tensor& x, double sigma, const at::Tensor& labels,
                     const AttentionObserver& observer = {});
  /// A sample of that seed and class, [1, C, R, R] float32. sampler: "own" (heun with 18 steps, for a latent
  /// model dpmpp2m with 20), or heun with `steps`.
  at::Tensor own_sample(std::uint64_t seed, std::int64_t label, Monitor& monitor) const;
  at::Tensor heun_sample(std::uint64_t seed, std::int64_t label, std::int64_t steps, Monitor& monitor) const;
  /// The network with a change, as long as the result lives.
  ChangedNetwork changed(const NetworkChange& change);

  /// Any image as x_0: [1, C, R, R] float32. Error(invalid) for a latent model without an autoencoder.
  at::Tensor encode(const Image& image) const;
  /// x_0 as an image; empty for a latent model without an autoencoder.
  Image decode(const at::Tensor& x) const;

 private:
  at::Tensor sample(SamplerId sampler, std::int64_t steps, std::uint64_t seed, std::int64_t label,
                    Monitor& monitor) const;

  Runtime runtime_;
  std::string path_;
  LoadedModel network_;
  Parameterisation parameterisation_;
  std::optional<Vae> vae_;
  std::vector<std::int64_t> shape_;
  std::int64_t classes_ = 0;
  std::vector<AttentionLayerInfo> layers_;
};

}  // namespace diffit::jobs

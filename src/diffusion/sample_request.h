// Requests for samples, common to all models: seeds, labels, noise, guidance; and how they are run batch by
// batch.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "diffusion/guidance.h"
#include "diffusion/vp_sampler.h"

namespace diffit::diffusion {

/// The registered samplers (samplers.def).
enum class SamplerId {
#define DIFFIT_SAMPLER(name) name,
#include "diffusion/samplers.def"
#undef DIFFIT_SAMPLER
};

/// Image i is a function of (model, options, seeds[i], labels[i]) alone.
struct SampleRequest {
  std::vector<std::uint64_t> seeds;  // one per image
  std::vector<std::int64_t> labels;  // one per image in 0..classes-1; empty for unconditional models
  SamplerId sampler = SamplerId::heun;
  std::int64_t steps = 0;
  double eta = 0;                  // ddim
  std::optional<Spacing> spacing;  // ddim, dpmpp2m and unipc; unset: the default of the sampler
  double sigma_min = 0.002, sigma_max = 80, rho = 7;  // heun and euler; clipped to the range of the schedule
  Churn churn;                                        // heun and euler
  Guidance guidance;
  std::int64_t batch = 64;
  std::int64_t first = 0;             // images before this one exist already and are skipped
  at::ScalarType dtype = at::kFloat;  // of matrix products and convolutions
  at::Tensor init_noise;              // [N, C, R, R] float32 instead of the seeds, or undefined
  at::Tensor step_noise;              // [rows, N, C, R, R] float32 instead of the seeds, or undefined
  std::string init_noise_from = "`init_noise`", step_noise_from = "`step_noise`";  // names in errors

  /// Requests images 0 .. count - 1 of a model: image i has seed i and, if the model has classes, class
  /// i % classes.
  void ask_for_first(std::int64_t count, std::int64_t classes);
};

/// Noise of an image with that seed, [C, R, R]: the initial noise, and that of the k-th step that adds noise.
at::Tensor initial_noise(std::uint64_t seed, at::IntArrayRef shape);
at::Tensor step_noise(std::uint64_t seed, std::int64_t k, at::IntArrayRef shape);

/// Throws Error(invalid) if labels, batch size or noise do not fit `classes`, `shape` [C, R, R] and the
/// number of steps that add noise. `autoguided`: guidance uses a second model and needs no condition.
void check_request(const SampleRequest& request, std::int64_t classes, at::IntArrayRef shape, bool autoguided,
                   std::int64_t noisy_steps);

/// One batch: images first .. first + size - 1 of a request, which must outlive it.
class SampleBatch {
 public:
  SampleBatch(const SampleRequest& request, std::int64_t first, std::int64_t size,
              std::vector<std::int64_t> shape, at::Device device);

  std::int64_t first() const { return first_; }
  std::int64_t size() const { return size_; }
  at::Device device() const { return device_; }
  /// [B, C, R, R] float32, unit variance.
  at::Tensor start() const;
  at::Tensor noise_of_step(std::int64_t k) const;
  /// [B] int64; all `null_label` if the request has no labels.
  at::Tensor labels(std::int64_t null_label) const;

 private:
  const SampleRequest& request_;
  std::int64_t first_, size_;
  std::vector<std::int64_t> shape_;
  at::Device device_;
};

/// Receives samples [b, C, R, R] float32 on the CPU: images first .. first + b - 1.
using SampleSink = std::function<void(std::int64_t first, const at::Tensor& samples)>;
/// Called with the number of evaluations of the guided network done and the total. May throw to cancel.
using SampleProgress = std::function<void(std::int64_t done, std::int64_t all)>;

/// Runs a request batch by batch with `make`. Throws Error(failed) for non-finite samples, before the sink
/// receives them.
void make_batches(const SampleRequest& request, const std::vector<std::int64_t>& shape, at::Device device,
                  const std::function<at::Tensor(const SampleBatch&)>& make, const SampleSink& sink);

}  // namespace diffit::diffusion

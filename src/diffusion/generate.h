// Pictures out of an image-space model: seeds and classes in, samples out.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "diffusion/guidance.h"
#include "diffusion/sampler.h"
#include "nn/image_model.h"

namespace diffit {

enum class EdmSampler { heun, euler };

/// What to make. Picture i is a function of (model, options, seeds[i], labels[i]) alone.
struct ImageRequest {
  std::vector<std::uint64_t> seeds;  // one a picture
  std::vector<std::int64_t> labels;  // one a picture in 0..classes-1; empty for unconditional models
  EdmSampler sampler = EdmSampler::heun;
  std::int64_t steps = 18;
  double sigma_min = 0.002, sigma_max = 80, rho = 7;
  Churn churn;
  Guidance guidance;
  std::int64_t batch = 64;
  at::ScalarType dtype = at::kFloat;  // of matrix products and convolutions
  at::Tensor init_noise;              // [N, C, R, R] float32 instead of the seeds, or undefined
  at::Tensor step_noise;              // [steps, N, C, R, R] float32 instead of the seeds, or undefined
};

/// The sampler by its name on the command line; Error(invalid) otherwise.
EdmSampler edm_sampler_named(const std::string& name);

/// D(x; sigma) for a batch [B, C, R, R] in the model's own layout, float32 in and out.
at::Tensor denoise_pictures(const ImageDiffiT& model, const at::Tensor& x, const at::Tensor& sigma,
                            const Condition& condition);

/// Noise of picture `seed`: [C, R, R] for the start, and for the k-th step that adds noise.
at::Tensor initial_noise(std::uint64_t seed, at::IntArrayRef shape);
at::Tensor step_noise(std::uint64_t seed, std::int64_t k, at::IntArrayRef shape);

/// Makes the pictures batch by batch: sink(first, samples [b, C, R, R] float32, on the CPU). Non-finite
/// samples are Error(failed). `progress` counts evaluations of the network, done and in all.
void generate(const ImageDiffiT& model, const ImageRequest& request,
              const std::function<void(std::int64_t first, const at::Tensor& samples)>& sink,
              const std::function<void(std::int64_t done, std::int64_t all)>& progress = {});

}  // namespace diffit

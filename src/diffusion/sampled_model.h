// Sampling from any diffusion model with any sampler.
#pragma once

#include "diffusion/guided_network.h"
#include "diffusion/parameterisation.h"
#include "diffusion/samplers.h"

namespace diffit::diffusion {

/// A model as used by generate().
struct SampledModel {
  std::vector<std::int64_t> shape;  // of a sample, [C, H, W]
  std::int64_t classes = 0;
  Schedule schedule = Schedule::edm;
  at::Device device = at::kCPU;
  LevelNetwork network;
  LevelNetwork weaker = {};      // for autoguidance; accepts the same samples and labels
  bool always_labelled = false;  // the network needs the null label even if it has no classes
};

/// A batch before a step of the sampler.
struct SampleState {
  std::int64_t first = 0;            // number of the batch's first image in the request
  std::int64_t step = 0, steps = 0;  // 0 .. steps - 1
  double sigma = 0;                  // noise level
  at::Tensor x = {};                 // [B, C, R, R] float64: a sample plus noise of standard deviation sigma
  at::Tensor estimate = {};          // [B, C, R, R] float64: D(x; sigma), after guidance
};
/// Called at the first evaluation of every step; must not change the tensors. May throw to stop.
using SampleObserver = std::function<void(const SampleState&)>;

/// Throws Error(invalid) if the request does not fit the model; generate() does so too.
void check(const SampledModel& model, const SampleRequest& request);

/// Generates the samples batch by batch. Returns the number of evaluations per image.
Evaluations generate(const SampledModel& model, const SampleRequest& request, const SampleSink& sink,
                     const SampleProgress& progress = {}, const SampleObserver& observe = {});

}  // namespace diffit::diffusion

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

/// Throws Error(invalid) if the request does not fit the model; generate() does so too.
void check(const SampledModel& model, const SampleRequest& request);

/// Generates the samples batch by batch. Returns the number of evaluations per image.
Evaluations generate(const SampledModel& model, const SampleRequest& request, const SampleSink& sink,
                     const SampleProgress& progress = {});

}  // namespace diffit::diffusion

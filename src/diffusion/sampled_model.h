// Samples of any diffusion model: seeds and classes in, samples out, by every sampler.
#pragma once

#include "diffusion/guided_network.h"
#include "diffusion/parameterisation.h"
#include "diffusion/samplers.h"

namespace diffit::diffusion {

/// What generate() needs of a model.
struct SampledModel {
  std::vector<std::int64_t> shape;  // of a sample, [C, H, W]
  std::int64_t classes = 0;
  Schedule schedule = Schedule::edm;
  at::Device device = at::kCPU;
  LevelNetwork network;
  LevelNetwork weaker = {};      // of autoguidance; takes the same samples and labels
  bool always_labelled = false;  // the network takes the null label even if it has no classes
};

/// Throws Error(invalid) if the request does not fit the model; generate() does so too.
void check(const SampledModel& model, const SampleRequest& request);

/// Makes the samples batch by batch. Returns the evaluations of one image.
Evaluations generate(const SampledModel& model, const SampleRequest& request, const SampleSink& sink,
                     const SampleProgress& progress = {});

}  // namespace diffit::diffusion

// presets/sampling/*.toml: how a published set of images was sampled, beside the figures that it reached.
#pragma once

#include <string>
#include <vector>

#include "config/fields.h"

namespace diffit::jobs {

/// The options of a preset under the names of the command line; empty, or 0, where it leaves one open.
struct PresetOptions {
  std::string sampler, guidance_schedule, guidance_channels, rounding;
  std::int64_t steps = 0;
  double guidance = 0;
};

/// For people: nothing is computed from it.
struct PublishedFigures {
  double fid = 0, is = 0, sfid = 0, precision = 0, recall = 0;
  std::string source;
};

struct SamplingPreset {
  PublishedFigures published;
  std::int64_t input_size = 0;  // of the latent model it belongs to
  PresetOptions sample;
};

template <class V>
void visit_fields(V& v, PresetOptions& s) {
  v("sampler", s.sampler, "of `sampler`");
  v("steps", s.steps, "of `steps`", 1, 100000);
  v("guidance", s.guidance, "of `guidance`", 0, 1000);
  v("guidance_schedule", s.guidance_schedule, "of `guidance_schedule`");
  v("guidance_channels", s.guidance_channels, "of `guidance_channels`");
  v("rounding", s.rounding, "of `rounding`");
}

template <class V>
void visit_fields(V& v, PublishedFigures& s) {
  v("fid", s.fid, "Frechet inception distance", 0, 1e6);
  v("is", s.is, "inception score", 0, 1e6);
  v("sfid", s.sfid, "spatial FID", 0, 1e6);
  v("precision", s.precision, "precision", 0, 1);
  v("recall", s.recall, "recall", 0, 1);
  v("source", s.source, "source of the published FID");
}

std::vector<std::string> sampling_preset_names();

/// A preset by its name or as a file. Error(invalid) for unknown names and keys.
SamplingPreset read_sampling_preset(const std::string& name);

}  // namespace diffit::jobs

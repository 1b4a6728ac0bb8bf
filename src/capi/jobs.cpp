#include "capi/jobs.h"

#include <cstring>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "capi/job_table.h"
#include "capi/temporary_folder.h"
#include "config/json_text.h"
#include "diffit/evaluate.h"
#include "diffit/sample.h"
#include "jobs/result_json.h"

namespace diffit::capi {

namespace {

void read_fields_of(SpecReader& reader, RuntimeOptions& o) {
  reader("device", o.device);
  reader("dtype", o.dtype);
  reader("threads", o.threads);
}

void read_fields_of(SpecReader& reader, GuidanceSpec& s) {
  reader("guidance", s.scale);
  reader("guidance_schedule", s.schedule);
  reader("guidance_channels", s.channels);
  reader("guidance_interval", s.interval);
  reader("guidance_tolerance", s.tolerance);
}

SampleSpec read_sample(SpecReader& reader) {
  SampleSpec s;
  reader("model", s.model);
  reader("out", s.out);
  reader("count", s.count);
  reader("seeds", s.seeds);
  reader("classes", s.classes);
  reader("preset", s.preset);
  reader("vae", s.vae);
  reader("autoguidance", s.autoguidance);
  reader("init_noise", s.init_noise);
  reader("init_image", s.init_image);
  reader("strength", s.strength);
  reader("mask", s.mask);
  reader("mix_seed", s.mix_seed);
  reader("mix", s.mix);
  reader("step_noise", s.step_noise);
  reader("sampler", s.sampler);
  reader("steps", s.steps);
  reader("eta", s.eta);
  reader("spacing", s.spacing);
  reader("sigma_min", s.sigma_min);
  reader("sigma_max", s.sigma_max);
  reader("rho", s.rho);
  reader("churn", s.churn);
  reader("s_min", s.s_min);
  reader("s_max", s.s_max);
  reader("s_noise", s.s_noise);
  reader("rounding", s.rounding);
  read_fields_of(reader, s.guidance);
  reader("batch", s.batch);
  reader("columns", s.columns);
  reader("restart", s.restart);
  reader("raw", s.raw);
  return s;
}

/// [N, H, W, C] uint8; all images of a request have the same size.
at::Tensor tensor_of(const std::vector<Image>& images) {
  const Image& first = images.front();
  at::Tensor pixels = at::empty(
      {static_cast<std::int64_t>(images.size()), first.height, first.width, first.channels}, at::kByte);
  auto* out = pixels.mutable_data_ptr<std::uint8_t>();
  for (const Image& image : images) {
    std::memcpy(out, image.pixels.data(), image.pixels.size());
    out += image.pixels.size();
  }
  return pixels;
}

JobResult run_sample(SpecReader& reader, const RuntimeOptions& runtime, TrainMonitor& monitor) {
  const SampleSpec spec = read_sample(reader);
  reader.finish();
  const SampleResult r = sample(spec, runtime, monitor);
  JobResult result;
  if (!r.images.empty()) result.tensors.push_back(tensor_of(r.images));
  if (!r.samples.empty()) {
    at::Tensor samples = at::empty(r.samples_shape, at::kFloat);
    std::memcpy(samples.mutable_data_ptr(), r.samples.data(), r.samples.size() * sizeof(float));
    result.tensors.push_back(samples);
  }
  result.json = json_text(json_of(r));
  return result;
}

JobResult run_train(SpecReader& reader, const RuntimeOptions& runtime, TrainMonitor& monitor) {
  TrainSpec spec;
  std::optional<TemporaryFolder> recipe;
  const Json* config = reader.take("config");
  DIFFIT_CHECK(config != nullptr, "`config`: wanted the name of a preset, a TOML file or a recipe, got none");
  const bool is_recipe = config->is_object();
  if (is_recipe) {
    const fs::path file = recipe.emplace().path() / "recipe.toml";
    write_file(file, format_toml(*config));
    spec.config = file.string();
  } else {
    reader("config", spec.config);
  }
  reader("set", spec.set);
  reader("data", spec.data);
  reader("out", spec.out);
  reader("resume", spec.resume);
  reader("strict", spec.strict);
  reader.finish();
  DIFFIT_CHECK(!is_recipe || !spec.out.empty(), "`out`: wanted the run folder of this recipe, got none");
  return {json_text(json_of(train(spec, runtime, monitor))), {}};
}

JobResult run_evaluate(SpecReader& reader, const RuntimeOptions& runtime, TrainMonitor& monitor) {
  EvaluateSpec s;
  reader("samples", s.samples);
  reader("reference", s.reference);
  reader("features", s.features);
  reader("metrics", s.metrics);
  reader("limit", s.limit);
  reader("batch", s.batch);
  reader("bootstrap", s.bootstrap);
  reader("confidence", s.confidence);
  reader("half", s.half);
  reader("extrapolate", s.extrapolate);
  reader("seed", s.seed);
  reader.finish();
  return {evaluate(s, runtime, monitor).json, {}};
}

const std::map<std::string, Job>& table() {
  static const std::map<std::string, Job> jobs{{"sample", run_sample},
                                               {"train", run_train},
                                               {"evaluate", run_evaluate},
                                               {"statistics", run_statistics},
                                               {"explain", run_explain},
                                               {"encode", run_encode},
                                               {"decode", run_decode},
                                               {"encode_data", run_encode_data},
                                               {"convert_data", run_convert_data}};
  return jobs;
}

}  // namespace

JobResult run_job(const std::string& job, const char* spec, TrainMonitor& monitor) {
  const auto found = table().find(job);
  if (found == table().end()) {
    std::vector<std::string> names;
    for (const auto& [name, function] : table()) names.push_back(name);
    reject("there is no job '{}'{}; there are {}", job, did_you_mean(job, names), fmt::join(names, ", "));
  }
  SpecReader reader(spec, job);
  RuntimeOptions runtime;
  read_fields_of(reader, runtime);
  return found->second(reader, runtime, monitor);
}

RuntimeOptions read_runtime(const char* options) {
  SpecReader reader(options, "options");
  RuntimeOptions runtime;
  read_fields_of(reader, runtime);
  reader.finish();
  return runtime;
}

}  // namespace diffit::capi

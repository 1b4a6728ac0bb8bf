// The specification of a sample job, from JSON.
#pragma once

#include "diffit/sample.h"
#include "server/models.h"

namespace diffit::server {

/// What one request may ask for.
struct Limits {
  std::int64_t images = 256;     // of a job
  std::int64_t steps = 1000;     // of a sampler
  std::int64_t queue = 64;       // jobs that wait
  std::int64_t body = 1 << 20;   // bytes
  std::int64_t kept_images = 4;  // of a job that keeps its steps
  std::int64_t kept_steps = 250;
  double wait = 600;  // seconds that a request waits for its images
};

/// A sample job with the images that it makes.
struct SampleJob {
  SampleSpec spec;           // without seeds and classes
  std::string model, guide;  // models as the server names them; guide: of autoguidance, or empty
  std::vector<std::int64_t> seeds;
  std::vector<std::int64_t> labels;  // one per image; empty: random, or the model has no classes
  bool keep_steps = false;           // keep every intermediate state
  std::string branch_job;            // start from a kept state of this job instead of noise, if not empty
  std::int64_t branch_step = 0, branch_image = 0;

  std::int64_t count() const { return static_cast<std::int64_t>(seeds.size()); }
};

/// Reads the fields of SampleSpec by their names (those of GuidanceSpec as guidance, guidance_schedule, ...),
/// and keep_steps, branch. Paths are not taken. Throws HttpError 400 that names the field.
SampleJob read_sample_job(const Json& spec, const Models& models, const Limits& limits);

/// The fields again, with seeds and labels listed; what read_sample_job() reads as the same job.
Json to_json(const SampleJob& job);

/// What two jobs must agree in to be made in one batch; "" for a job that is made alone.
std::string batch_key(const SampleJob& job);

/// A seed for an image whose seed nobody chose: 0 to 2^32 - 1.
std::int64_t random_seed();

}  // namespace diffit::server

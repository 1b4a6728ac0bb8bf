// Encoding a data set (diffit/autoencoder.h).
#include "base/bundled.h"
#include "base/output_check.h"
#include "jobs/advance.h"
#include "jobs/encode_data_job.h"
#include "jobs/guard.h"
#include "jobs/no_monitor.h"
#include "jobs/unfinished.h"
#include "model/vae_file.h"
#include "runtime/runtime.h"
#include "train/encode_latents.h"

namespace diffit::jobs {

namespace {

LatentInfo run_encode_data(const EncodeDataSpec& spec, const RuntimeOptions& options, Monitor& monitor) {
  DIFFIT_CHECK(spec.batch >= 1 && spec.size >= 0,
               "`batch` and `size`: wanted at least 1 and 0, got {} and {}", spec.batch, spec.size);
  check_output_folder(spec.dest, "`dest`");
  refuse_unfinished(spec.data, "`data`");
  const Runtime runtime = open_runtime(options, /*prefer_bf16=*/false, monitor);
  const auto images = open_dataset(spec.data, spec.size);
  const Vae vae = load_vae(model_path(spec.vae), runtime.device);
  for (const std::string& warning : images->description().warnings) monitor.warning(warning);
  return encode_latents(
      *images, vae, spec.dest,
      {.batch = spec.batch,
       .device = runtime.device,
       .dtype = runtime.dtype,
       .source = spec.data,
       .restart = spec.restart,
       .warn = [&](const std::string& text) { monitor.warning(text); }},
      [&](std::int64_t done, std::int64_t all) {
        stop_if_cancelled(monitor,
                          fmt::format("{}: interrupted after {} of {} images; complete shards are kept, run "
                                      "the same command again to continue",
                                      spec.dest, done, all));
        monitor.progress({done, all, "images"});
      });
}

}  // namespace

LatentData latent_data(const LatentInfo& info) {
  return {.source = info.source,
          .images = info.images,
          .width = info.width,
          .height = info.height,
          .channels = info.channels,
          .classes = info.classes,
          .shards = info.shards(),
          .vae_identity = info.vae,
          .scale = info.scale,
          .mean = info.mean,
          .deviation = info.deviation};
}

}  // namespace diffit::jobs

namespace diffit {

LatentData encode_data(const EncodeDataSpec& spec, const RuntimeOptions& runtime, Monitor& monitor) {
  return jobs::guarded([&] { return jobs::latent_data(jobs::run_encode_data(spec, runtime, monitor)); });
}

LatentData encode_data(const EncodeDataSpec& spec, const RuntimeOptions& runtime) {
  return encode_data(spec, runtime, jobs::no_monitor());
}

}  // namespace diffit

// diffit data encode.
#include "diffit/autoencoder.h"

#include "jobs/encode_data_job.h"
#include "tools/diffit/progress.h"

namespace diffit::cli {

namespace {

void print_encoding(const CommonOptions& common, const EncodeDataSpec& spec) {
  LatentData latents;
  {
    StoppableMonitor monitor(common);
    latents = encode_data(spec, common, monitor);
  }
  print_result(common, latents_json(spec.dest, latents), latents_text(spec.dest, latents));
}

}  // namespace

void add_encode_command(CLI::App& data, CommonOptions& common) {
  CLI::App* command = add_command(
      data, common, "encode",
      "Encode a data set into latents for training a latent model: shards of moments and mirrored moments");
  const auto options = std::make_shared<EncodeDataSpec>();
  command->add_option("DATA", options->data, "zip, IDX(.gz) images file, CIFAR or a folder of images")
      ->required();
  command->add_option("DEST", options->dest, "the folder to write; complete shards already in it are kept")
      ->required();
  command
      ->add_option("--vae", options->vae,
                   "the autoencoder: one trained by diffit, or Stable Diffusion's with diffusers' or "
                   "original tensor names")
      ->required();
  command->add_option("--size", options->size, "side to which smaller images are padded with zeros")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{4096}));
  command->add_option("--batch", options->batch, "images per batch")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{65536}))
      ->capture_default_str();
  command->add_flag("--restart", options->restart, "remove all shards in DEST and encode again");
  command->footer(
      "\n"
      "Shards record what they were encoded from. If DATA, --dtype or --vae has changed since, the command "
      "stops with an\n"
      "error.");
  command->callback([&common, options] { print_encoding(common, *options); });
}

}  // namespace diffit::cli

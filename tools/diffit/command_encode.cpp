// diffit data encode.
#include <memory>
#include <optional>

#include "base/bundled.h"
#include "base/error.h"
#include "base/output_check.h"
#include "jobs/unfinished.h"
#include "model/vae_file.h"
#include "tools/diffit/command.h"
#include "tools/diffit/progress.h"
#include "tools/diffit/stop.h"
#include "train/encode_latents.h"

namespace diffit::cli {
namespace {

struct EncodeOptions {
  std::string data, destination, vae;
  std::int64_t batch = 32, size = 0;
  bool restart = false;
};

void run_encode(const CommonOptions& common, const EncodeOptions& options) {
  check_output_folder(options.destination, "DEST");
  refuse_unfinished(options.data, "DATA");
  const Runtime machine = open_machine(common, /*prefer_bf16=*/false);
  const auto images = open_dataset(options.data, options.size);
  const Vae vae = load_vae(model_path(options.vae), machine.device);
  for (const std::string& warning : images->description().warnings) print_note(common, "warning: " + warning);
  std::optional<ProgressLine> progress(common);
  const std::atomic<bool>& stop = watch_for_stop();
  const LatentInfo info =
      encode_latents(*images, vae, options.destination,
                     {.batch = options.batch,
                      .device = machine.device,
                      .dtype = machine.dtype,
                      .source = options.data,
                      .restart = options.restart,
                      .warn = [&](const std::string& text) { progress->say("warning: " + text); }},
                     [&](std::int64_t done, std::int64_t all) {
                       if (stop) {
                         fail(
                             "{}: interrupted after {} of {} images; complete shards are kept, run the same "
                             "command again to continue",
                             options.destination, done, all);
                       }
                       progress->show_count(static_cast<double>(done), static_cast<double>(all), "pictures");
                     });
  progress.reset();
  print_latents(common, options.destination, info);
}

}  // namespace

void print_latents(const CommonOptions& common, const std::string& folder, const LatentInfo& info) {
  const Json object = {{"data", folder},
                       {"kind", "latents"},
                       {"source", info.source},
                       {"pictures", info.images},
                       {"width", info.width},
                       {"height", info.height},
                       {"channels", info.channels},
                       {"classes", info.classes},
                       {"shards", info.shards()},
                       {"vae_identity", info.vae},
                       {"scale", info.scale},
                       {"mean", info.mean},
                       {"deviation", info.deviation}};
  std::string text = fmt::format("{}: latents of {}\n  {} images and their mirror images, {} x {} x {}, {}\n",
                                 folder, info.source, info.images, info.channels, info.height, info.width,
                                 info.classes > 0 ? fmt::format("{} classes", info.classes) : "no labels");
  text += fmt::format("  encoded by the VAE {}, scale {:.6g}: mean {:.4f}, standard deviation {:.4f}\n",
                      info.vae, info.scale, info.mean, info.deviation);
  print_result(common, object, text);
}

void add_encode_command(CLI::App& data, CommonOptions& common) {
  CLI::App* command = add_command(
      data, common, "encode",
      "Encode a data set into latents for training a latent model: shards of moments and mirrored moments");
  const auto options = std::make_shared<EncodeOptions>();
  command->add_option("DATA", options->data, "zip, IDX(.gz) images file, CIFAR or a folder of images")
      ->required();
  command
      ->add_option("DEST", options->destination,
                   "the folder to write; complete shards already in it are kept")
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
  command->callback([&common, options] { run_encode(common, *options); });
}

}  // namespace diffit::cli

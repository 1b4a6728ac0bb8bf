#include "jobs/latent_source.h"

#include "base/bundled.h"
#include "base/error.h"
#include "model/model_file.h"
#include "model/vae_file.h"
#include "train/init_from.h"

namespace diffit::jobs {

void check_null_row(const WeightsFile& file, const Guidance& guidance) {
  DIFFIT_CHECK(!guidance.on() || !file.metadata().contains(kNullRowKey),
               "`guidance`: {} was trained without label dropout: its null-label row was added by convert "
               "`null_row` and is untrained; give `guidance` 1",
               file.path().string());
}

LatentNetwork network_of(const DiffusionModel& model) {
  return noise_network([model](const at::Tensor& x, double t,
                               const at::Tensor& labels) { return (*model.latent_network())(x, t, labels); },
                       model.latent_network()->config());
}

fs::path vae_path(const std::string& given, const WeightsFile& model) {
  if (!given.empty()) return model_path(given);
  if (const auto named = model.metadata().find("diffit.vae"); named != model.metadata().end()) {
    return model_path(named->second);
  }
  fs::path beside = model.path();
  beside.replace_filename(model.path().stem().string() + "-vae.safetensors");
  std::error_code none;
  return fs::exists(beside, none) ? beside : fs::path();
}

Vae open_vae(const fs::path& path, const WeightsFile& model, const LatentConfig& config, at::Device device) {
  OpenedVae opened = open_autoencoder(path, device);
  Vae& vae = opened.vae;
  DIFFIT_CHECK(vae.config().latent_channels == config.in_channels,
               "`vae` {}: its latents have {} channels, but those of {} have {}: give the autoencoder that "
               "the model was trained with",
               path.string(), vae.config().latent_channels, model.path().string(), config.in_channels);
  if (const auto stated = model.metadata().find(kVaeIdentityKey); stated != model.metadata().end()) {
    DIFFIT_CHECK(is_autoencoder(opened, stated->second),
                 "`vae` {}: identity {}, but {} was trained on latents of {}: give that autoencoder",
                 path.string(), vae_identity(vae), model.path().string(), stated->second);
  }
  if (const auto stated = model.metadata().find(kLatentScaleKey); stated != model.metadata().end()) {
    const std::string scale = fmt::format("{}", vae.config().scale);
    DIFFIT_CHECK(stated->second == scale,
                 "`vae` {}: its latents are scaled by {}, but {} was trained on latents scaled by {}: give "
                 "the file that encoded them",
                 path.string(), scale, model.path().string(), stated->second);
  }
  return std::move(vae);
}

at::Tensor encode_means(const Vae& vae, const at::Tensor& images) {
  const at::NoGradGuard no_grad;
  const at::Device device = vae.parameters().items()[0].tensor.device();
  std::vector<at::Tensor> means;
  for (const at::Tensor& batch : images.split(32)) {
    means.push_back((vae.encode(batch.to(device)).chunk(2, 1)[0] * vae.config().scale).to(at::kCPU));
  }
  return at::cat(means);
}

at::Tensor decode_latents(const Vae& vae, const at::Tensor& latents) {
  const at::NoGradGuard no_grad;
  const at::Device device = vae.parameters().items()[0].tensor.device();
  std::vector<at::Tensor> images;
  for (const at::Tensor& latent : latents.split(1)) {
    images.push_back(vae.decode(latent.to(device) / vae.config().scale).to(at::kCPU).to(at::kFloat));
  }
  at::Tensor all = at::cat(images);
  if (!at::isfinite(all).all().item<bool>()) {
    fail(
        "the images of the autoencoder are not finite: its weights are damaged, or the latents belong to "
        "another autoencoder");
  }
  return all;
}

}  // namespace diffit::jobs

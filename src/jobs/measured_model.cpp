#include "jobs/measured_model.h"

#include "base/bundled.h"

#include <algorithm>

#include "base/error.h"
#include "base/random.h"
#include "diffusion/generate.h"
#include "diffusion/latent_generate.h"
#include "diffusion/vp_as_ve.h"
#include "jobs/latent_source.h"
#include "jobs/unfinished.h"
#include "model/model_file.h"
#include "runtime/autocast.h"
#include "train/dataset_images.h"

namespace diffit::jobs {

namespace {

constexpr double kHighestOfNoisePredictors = 8;

at::Tensor as_input(const at::Tensor& images) {
  return (images.to(at::kFloat) / 127.5 - 1).permute({0, 3, 1, 2}).contiguous();
}

MeasuredModel of_image(std::shared_ptr<ImageDiffiT> model, const Runtime& machine) {
  const ImageConfig config = model->config();
  const Denoiser denoise = [model, machine, classes = config.classes](const at::Tensor& x, double sigma) {
    const at::Tensor input = x.to(machine.device).to(at::kFloat);
    Condition none;
    if (classes > 0) none.labels = at::full({x.size(0)}, classes, input.options().dtype(at::kLong));
    const Autocast autocast(machine.device.type(), machine.dtype);
    return denoise_images(*model, input, at::full({x.size(0)}, sigma, input.options().requires_grad(false)),
                          none)
        .to(x.options());
  };
  MeasuredModel measured{.denoise = denoise,
                         .inputs = as_input,
                         .resolution = config.resolution,
                         .channels = config.in_channels,
                         .image = std::move(model)};
  const Parameterisation parameterisation = parameterisation_of(config);
  if (parameterisation.prediction == Prediction::eps) measured.highest_judged = kHighestOfNoisePredictors;
  measured.range = sigma_range(parameterisation.schedule);
  return measured;
}

MeasuredModel of_latents(std::shared_ptr<LatentDiffiT> model, std::shared_ptr<Vae> vae,
                         const Runtime& machine) {
  const LatentConfig config = model->config();
  const VpSchedule schedule = timesteps_of(parameterisation_of(config).schedule);
  const LatentNetwork network = latent_network(*model, machine.dtype);
  const NoisePredictor predict = [model, network, machine, config](const at::Tensor& x, std::int64_t t) {
    const at::Tensor input = x.to(machine.device).to(at::kFloat);
    const at::Tensor none = at::full({x.size(0)}, config.classes, input.options().dtype(at::kLong));
    const at::Tensor eps = network(input, static_cast<double>(t), none).narrow(1, 0, config.in_channels);
    return NoisePrediction{eps.to(x.options()), {}};
  };
  MeasuredModel measured{.denoise = as_denoiser(predict, schedule),
                         .resolution = config.input_size * vae->factor(),
                         .channels = vae->config().in_channels,
                         .latent = true,
                         .highest_judged = kHighestOfNoisePredictors};
  measured.inputs = [vae](const at::Tensor& images) {
    std::vector<at::Tensor> latents;
    for (const at::Tensor& batch : images.split(32)) latents.push_back(encode_means(*vae, as_input(batch)));
    return at::cat(latents);
  };
  for (std::int64_t i = 0; i < schedule.size(); ++i) measured.schedule.push_back(schedule.sigma(i));
  return measured;
}

}  // namespace

std::vector<double> MeasuredModel::known(const std::vector<double>& sigmas) const {
  std::vector<double> levels;
  if (schedule.empty()) {
    std::copy_if(sigmas.begin(), sigmas.end(), std::back_inserter(levels),
                 [this](double sigma) { return sigma >= range.least && sigma <= range.most; });
    return levels;
  }
  for (const double sigma : sigmas) {
    const auto nearer = [sigma](double a, double b) { return std::abs(a - sigma) < std::abs(b - sigma); };
    levels.push_back(*std::min_element(schedule.begin(), schedule.end(), nearer));
  }
  levels.erase(std::unique(levels.begin(), levels.end()), levels.end());
  return levels;
}

MeasuredModel open_measured_model(const std::string& model, const std::string& vae, const Runtime& machine) {
  const WeightsFile file(model_path(model));
  LoadedModel loaded = load_model(file, machine.device);
  MeasuredModel measured;
  if (auto* image = std::get_if<ImageDiffiT>(&loaded)) {
    DIFFIT_CHECK(vae.empty(), "`vae`: {} is an image-space model, which needs no autoencoder", model);
    measured = of_image(std::make_shared<ImageDiffiT>(std::move(*image)), machine);
  } else {
    auto latent = std::make_shared<LatentDiffiT>(std::move(std::get<LatentDiffiT>(loaded)));
    const fs::path path = vae_path(vae, file);
    DIFFIT_CHECK(!path.empty(),
                 "{}: its inputs are latents: give `vae` FILE, the autoencoder that encodes them", model);
    measured = of_latents(
        latent, std::make_shared<Vae>(open_vae(path, file, latent->config(), machine.device)), machine);
  }
  measured.name = model;
  return measured;
}

MeasuredImages read_measured(const std::string& data, const MeasuredModel& model, std::int64_t count,
                             std::uint64_t seed) {
  refuse_unfinished(data, "DATA");
  const auto dataset = open_dataset(data, model.resolution);
  DIFFIT_CHECK(dataset->channels() == model.channels || dataset->channels() == 1,
               "{}: the images are in colour, but {} was trained on greyscale images", data, model.name);
  const std::int64_t size = std::min(count, dataset->size()), side = model.resolution;
  std::vector<std::int64_t> indices;
  for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(size); ++i) {
    indices.push_back(static_cast<std::int64_t>(
        permuted(i, static_cast<std::uint64_t>(dataset->size()), seed, stream_of(Purpose::data_order))));
  }
  const at::Tensor images = image_bytes(*dataset, indices);
  return {dataset->source().describe(), images.expand({size, side, side, model.channels}).contiguous(),
          image_labels(*dataset, indices)};
}

}  // namespace diffit::jobs

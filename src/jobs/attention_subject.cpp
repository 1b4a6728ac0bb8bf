#include "jobs/attention_subject.h"

#include <algorithm>

#include "analysis/attention_view.h"
#include "diffusion/edm.h"
#include "diffusion/generate.h"
#include "diffusion/images.h"
#include "diffusion/latent_generate.h"
#include "jobs/advance.h"
#include "jobs/given_image.h"
#include "jobs/latent_source.h"
#include "runtime/autocast.h"

namespace diffit::jobs {

namespace {

constexpr std::int64_t kOwnSteps = 18, kOwnLatentSteps = 20;

/// Sets the observer of a network, if it is not empty, and removes it at the end.
template <class Network>
class Observed {
 public:
  Observed(Network& network, const AttentionObserver& observer)
      : network_(network), set_(static_cast<bool>(observer)) {
    if (set_) network_.observe(observer);
  }
  ~Observed() {
    if (set_) network_.observe({});
  }
  Observed(const Observed&) = delete;
  Observed& operator=(const Observed&) = delete;

 private:
  Network& network_;
  bool set_;
};

}  // namespace

AttentionSubject::AttentionSubject(const WeightsFile& file, const std::string& vae, const Runtime& runtime)
    : runtime_(runtime), path_(file.path().string()), network_(load_model(file, runtime.device)) {
  if (const auto* model = std::get_if<ImageDiffiT>(&network_)) {
    DIFFIT_CHECK(vae.empty(), "`vae`: {} is an image-space model, which needs no autoencoder", path_);
    const ImageConfig& c = model->config();
    parameterisation_ = parameterisation_of(c);
    shape_ = {c.in_channels, c.resolution, c.resolution};
    classes_ = c.classes;
  } else {
    const LatentConfig& c = std::get<LatentDiffiT>(network_).config();
    parameterisation_ = parameterisation_of(c);
    shape_ = {c.in_channels, c.input_size, c.input_size};
    classes_ = c.classes;
    const fs::path path = vae_path(vae, file);
    if (!path.empty()) vae_ = open_vae(path, file, c, runtime.device);
  }
  denoise(at::zeros({1, shape_[0], shape_[1], shape_[2]}), level(1), labels({}),
          [this](const ObservedAttention& layer) {
            const AttentionParts parts = layer.parts(layer.time);
            layers_.push_back({.name = layer.layer,
                               .side = map_side(parts, layer.window),
                               .window = layer.window,
                               .heads = parts.q.size(2),
                               .time_key = parts.k.size(3) > layer.window * layer.window});
          });
  DIFFIT_CHECK(!layers_.empty(), "{}: the network has no attention", path_);
  const ParameterList& parameters =
      std::visit([](const auto& network) -> const ParameterList& { return network.parameters(); }, network_);
  for (AttentionLayerInfo& layer : layers_) {
    layer.bias = std::any_of(parameters.begin(), parameters.end(), [&](const Parameter& p) {
      return p.name.starts_with(layer.name + ".") && p.name.ends_with(".relative_position_bias_table");
    });
  }
}

SigmaRange AttentionSubject::range() const {
  constexpr SigmaRange kUsual{0.002, 80};  // of EDM's grid
  return parameterisation_.schedule == Schedule::edm ? kUsual : sigma_range(parameterisation_.schedule);
}

double AttentionSubject::level(double sigma) const {
  if (parameterisation_.schedule != Schedule::vp_linear) return sigma;
  const VpSchedule timesteps = timesteps_of(Schedule::vp_linear);
  return timesteps.sigma(nearest_step(timesteps, sigma));
}

at::Tensor AttentionSubject::labels(const std::optional<std::int64_t>& label) const {
  const bool latent = std::holds_alternative<LatentDiffiT>(network_);
  if (classes_ == 0 && !latent) return {};
  return at::full({1}, label.value_or(classes_), at::kLong).to(runtime_.device);
}

at::Tensor AttentionSubject::time_token(double sigma, const at::Tensor& labels) const {
  const at::NoGradGuard no_grad;
  const at::Tensor levels = at::full({1}, sigma, at::TensorOptions(at::kFloat).device(runtime_.device));
  const at::Tensor c_noise = parameterisation_.c_noise(levels);
  if (const auto* model = std::get_if<ImageDiffiT>(&network_))
    return model->time_token(c_noise, {.labels = labels});
  return std::get<LatentDiffiT>(network_).time_token(c_noise, labels);
}

at::Tensor AttentionSubject::denoise(const at::Tensor& x, double sigma, const at::Tensor& labels,
                                     const AttentionObserver& observer) {
  const at::NoGradGuard no_grad;
  const Autocast autocast(runtime_.device.type(), runtime_.dtype);
  const at::Tensor input = x.to(runtime_.device), levels = at::full({1}, sigma, input.options());
  if (auto* model = std::get_if<ImageDiffiT>(&network_)) {
    const Observed<ImageDiffiT> observed(*model, observer);
    return denoise_images(*model, input, levels, {.labels = labels}).to(at::kFloat);
  }
  auto& model = std::get<LatentDiffiT>(network_);
  const Observed<LatentDiffiT> observed(model, observer);
  return denoised(
      [&](const at::Tensor& scaled, const at::Tensor& timestep) {
        return model(scaled, timestep, labels).narrow(1, 0, shape_[0]).to(at::kFloat);
      },
      parameterisation_, input, levels);
}

at::Tensor AttentionSubject::sample(SamplerId sampler, std::int64_t steps, std::uint64_t seed,
                                    std::int64_t label, Monitor& monitor) const {
  const at::NoGradGuard no_grad;
  at::Tensor result;
  const SampleSink sink = [&](std::int64_t, const at::Tensor& samples) { result = samples; };
  const SampleProgress progress = [&](std::int64_t done, std::int64_t all) {
    advance(monitor, {done, all, "evaluations"}, "interrupted; nothing was written");
  };
  const auto fill = [&](SampleRequest& request) {
    request.sampler = sampler;
    request.steps = steps;
    request.seeds = {seed};
    if (classes_ > 0) request.labels = {label};
    request.dtype = runtime_.dtype;
  };
  if (const auto* model = std::get_if<ImageDiffiT>(&network_)) {
    ImageRequest request;
    fill(request);
    generate(*model, request, sink, progress);
  } else {
    const auto& latent = std::get<LatentDiffiT>(network_);
    LatentRequest request;
    fill(request);
    generate(latent_network(latent, runtime_.dtype), latent.config(), runtime_.device, request, sink,
             progress);
  }
  return result;
}

at::Tensor AttentionSubject::own_sample(std::uint64_t seed, std::int64_t label, Monitor& monitor) const {
  return std::holds_alternative<ImageDiffiT>(network_)
             ? sample(SamplerId::heun, kOwnSteps, seed, label, monitor)
             : sample(SamplerId::dpmpp2m, kOwnLatentSteps, seed, label, monitor);
}

at::Tensor AttentionSubject::heun_sample(std::uint64_t seed, std::int64_t label, std::int64_t steps,
                                         Monitor& monitor) const {
  return sample(SamplerId::heun, steps, seed, label, monitor);
}

ChangedNetwork AttentionSubject::changed(const NetworkChange& change) {
  return std::visit([&](auto& network) { return ChangedNetwork(network, change); }, network_);
}

at::Tensor AttentionSubject::encode(const Image& image) const {
  const at::NoGradGuard no_grad;
  if (std::holds_alternative<ImageDiffiT>(network_))
    return given_image(image, shape_[1], shape_[0], "`image`");
  DIFFIT_CHECK(vae_.has_value(),
               "`image`: the inputs of {} are latents, and no autoencoder is known for it; leave it out, or "
               "give `vae` FILE",
               path_);
  return encode_means(*vae_,
                      given_image(image, shape_[1] * vae_->factor(), vae_->config().in_channels, "`image`"));
}

Image AttentionSubject::decode(const at::Tensor& x) const {
  const at::NoGradGuard no_grad;
  const at::Tensor samples = x.to(at::kCPU, at::kFloat).contiguous();
  if (std::holds_alternative<ImageDiffiT>(network_)) return to_images(samples).at(0);
  return vae_ ? to_images(decode_latents(*vae_, samples)).at(0) : Image();
}

}  // namespace diffit::jobs

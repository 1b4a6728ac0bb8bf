#include "diffusion/generate.h"

#include <algorithm>

#include "base/error.h"
#include "diffusion/edm.h"
#include "kernels/autocast.h"

namespace diffit {

EdmSampler edm_sampler_named(const std::string& name) {
  if (name == "heun") return EdmSampler::heun;
  if (name == "euler") return EdmSampler::euler;
  reject("--sampler: image models take heun or euler, got '{}'", name);
}

at::Tensor denoise_pictures(const ImageDiffiT& model, const at::Tensor& x, const at::Tensor& sigma,
                            const Condition& condition) {
  const RawNetwork network = [&](const at::Tensor& scaled, const at::Tensor& c_noise) {
    return model(scaled.permute({0, 2, 3, 1}).contiguous(), c_noise, condition).permute({0, 3, 1, 2});
  };
  return denoised(network, {model.config().sigma_data}, x, sigma);
}

at::Tensor initial_noise(std::uint64_t seed, at::IntArrayRef shape) {
  Random random(seed, stream_of(Purpose::initial_noise));
  return normal_tensor(shape, random);
}

at::Tensor step_noise(std::uint64_t seed, std::int64_t k, at::IntArrayRef shape) {
  Random random(seed, stream_of(Purpose::step_noise, static_cast<std::uint64_t>(k)));
  return normal_tensor(shape, random);
}

namespace {

void check_request(const ImageConfig& config, const ImageRequest& request) {
  const auto count = static_cast<std::int64_t>(request.seeds.size());
  DIFFIT_CHECK(request.batch >= 1, "--batch: wanted at least 1, got {}", request.batch);
  DIFFIT_CHECK(config.classes == 0 ? request.labels.empty() : request.labels.size() == request.seeds.size(),
               "labels: the model has {} classes, got {} labels for {} pictures", config.classes,
               request.labels.size(), count);
  for (const std::int64_t label : request.labels) {
    DIFFIT_CHECK(label >= 0 && label < config.classes, "class {}: the model has classes 0 to {}", label,
                 config.classes - 1);
  }
  DIFFIT_CHECK(!request.guidance.on() || config.classes > 0,
               "--guidance: the model is unconditional, there is no condition to follow; leave it at 1");
  DIFFIT_CHECK(
      !request.guidance.power_cosine,
      "--guidance-schedule power-cosine is defined on the 1000 timesteps of latent models; image models take "
      "constant, and --guidance-interval");
  const auto check_noise = [&](const at::Tensor& noise, std::vector<std::int64_t> wanted, const char* what) {
    if (!noise.defined()) return;
    const bool fits =
        noise.dim() == static_cast<std::int64_t>(wanted.size()) &&
        noise.sizes().slice(noise.dim() - 4) == at::IntArrayRef(wanted).slice(wanted.size() - 4);
    DIFFIT_CHECK(fits, "{}: wanted `noise` [{}], got [{}]", what, fmt::join(wanted, ", "),
                 fmt::join(noise.sizes(), ", "));
  };
  const std::int64_t r = config.resolution, c = config.in_channels;
  check_noise(request.init_noise, {count, c, r, r}, "--init-noise");
  check_noise(request.step_noise, {request.steps, count, c, r, r}, "--step-noise");
}

/// One batch of the request: pictures first .. first + size - 1.
class BatchSampler {
 public:
  BatchSampler(const ImageDiffiT& model, const ImageRequest& request, std::int64_t first, std::int64_t size)
      : model_(model),
        request_(request),
        first_(first),
        size_(size),
        device_(model.parameters().items()[0].tensor.device()) {
    const ImageConfig& config = model.config();
    shape_ = {config.in_channels, config.resolution, config.resolution};
    if (config.classes > 0) {
      conditional_.labels = at::empty({size}, at::kLong);
      std::copy_n(request.labels.begin() + first, size, conditional_.labels.mutable_data_ptr<std::int64_t>());
      both_.labels = at::cat({conditional_.labels, at::full({size}, config.classes, at::kLong)}).to(device_);
      conditional_.labels = conditional_.labels.to(device_);
    }
  }

  at::Tensor start() const {
    if (request_.init_noise.defined()) return request_.init_noise.narrow(0, first_, size_).to(device_);
    return stack([this](std::uint64_t seed) { return initial_noise(seed, shape_); });
  }

  at::Tensor noise_of_step(std::int64_t k) const {
    if (!request_.step_noise.defined()) {
      return stack([this, k](std::uint64_t seed) { return step_noise(seed, k, shape_); });
    }
    DIFFIT_CHECK(k < request_.step_noise.size(0), "--step-noise: {} rows, and step {} adds noise",
                 request_.step_noise.size(0), k + 1);
    return request_.step_noise[k].narrow(0, first_, size_).to(device_);
  }

  at::Tensor denoise(const at::Tensor& x, double sigma) const {
    const at::Tensor input = x.to(at::kFloat);
    const Guidance& g = request_.guidance;
    if (!g.on() || sigma <= g.low || sigma > g.high) {
      return denoise_pictures(model_, input, sigmas(sigma, size_), conditional_).to(at::kDouble);
    }
    const at::Tensor d = denoise_pictures(model_, at::cat({input, input}), sigmas(sigma, 2 * size_), both_);
    const std::vector<at::Tensor> halves = d.to(at::kDouble).chunk(2);
    return guided(g, halves[0], halves[1], at::full({1}, g.scale, halves[0].options()));
  }

 private:
  template <class Noise>
  at::Tensor stack(Noise&& noise) const {
    std::vector<at::Tensor> pictures;
    for (std::int64_t i = first_; i < first_ + size_; ++i) {
      pictures.push_back(noise(request_.seeds[static_cast<std::size_t>(i)]));
    }
    return at::stack(pictures).to(device_);
  }
  at::Tensor sigmas(double sigma, std::int64_t count) const {
    return at::full({count}, sigma, at::TensorOptions(at::kFloat).device(device_));
  }

  const ImageDiffiT& model_;
  const ImageRequest& request_;
  std::int64_t first_, size_;
  at::Device device_;
  std::vector<std::int64_t> shape_;
  Condition conditional_, both_;
};

}  // namespace

void generate(const ImageDiffiT& model, const ImageRequest& request,
              const std::function<void(std::int64_t, const at::Tensor&)>& sink,
              const std::function<void(std::int64_t, std::int64_t)>& progress) {
  check_request(model.config(), request);
  const at::NoGradGuard no_grad;
  const std::vector<double> sigmas =
      karras_sigmas(request.steps, request.sigma_min, request.sigma_max, request.rho);
  const auto sampler = request.sampler == EdmSampler::heun ? heun : euler;
  const auto count = static_cast<std::int64_t>(request.seeds.size());
  const std::int64_t evaluations_a_picture =
      request.sampler == EdmSampler::heun ? 2 * request.steps - 1 : request.steps;
  std::int64_t evaluations = 0;
  for (std::int64_t first = 0; first < count; first += request.batch) {
    const BatchSampler batch(model, request, first, std::min(request.batch, count - first));
    const std::int64_t size = std::min(request.batch, count - first);
    const Denoiser denoiser = [&](const at::Tensor& x, double sigma) {
      const Autocast autocast(x.device().type(), request.dtype);
      at::Tensor d = batch.denoise(x, sigma);
      evaluations += size;
      if (progress) progress(evaluations, evaluations_a_picture * count);
      return d;
    };
    const at::Tensor samples = sampler(denoiser, batch.start(), sigmas, request.churn,
                                       [&](std::int64_t k) { return batch.noise_of_step(k); }, {})
                                   .to(at::kFloat)
                                   .to(at::kCPU)
                                   .contiguous();
    if (!at::isfinite(samples).all().item<bool>()) {
      fail("the samples of seeds from {} on are not finite numbers: the model or --dtype does not hold",
           request.seeds[static_cast<std::size_t>(first)]);
    }
    sink(first, samples);
  }
}

}  // namespace diffit

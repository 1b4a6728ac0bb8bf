#include "diffusion/sample_request.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/random.h"
#include "nn/layers/init.h"

namespace diffit::diffusion {

at::Tensor initial_noise(std::uint64_t seed, at::IntArrayRef shape) {
  Random random(seed, stream_of(Purpose::initial_noise));
  return normal_tensor(shape, random);
}

at::Tensor step_noise(std::uint64_t seed, std::int64_t k, at::IntArrayRef shape) {
  Random random(seed, stream_of(Purpose::step_noise, static_cast<std::uint64_t>(k)));
  return normal_tensor(shape, random);
}

void SampleRequest::ask_for_first(std::int64_t count, std::int64_t classes) {
  seeds.resize(static_cast<std::size_t>(count));
  std::iota(seeds.begin(), seeds.end(), 0);
  labels.clear();
  for (std::int64_t i = 0; classes > 0 && i < count; ++i) labels.push_back(i % classes);
}

void check_request(const SampleRequest& request, std::int64_t classes, at::IntArrayRef shape, bool autoguided,
                   std::int64_t noisy_steps) {
  const auto count = static_cast<std::int64_t>(request.seeds.size());
  DIFFIT_CHECK(request.batch >= 1, "`batch`: wanted at least 1, got {}", request.batch);
  DIFFIT_CHECK(classes == 0 ? request.labels.empty() : request.labels.size() == request.seeds.size(),
               "labels: the model has {} classes, got {} labels for {} images", classes,
               request.labels.size(), count);
  for (const std::int64_t label : request.labels) {
    DIFFIT_CHECK(label >= 0 && label < classes, "class {}: the model has classes 0 to {}", label,
                 classes - 1);
  }
  DIFFIT_CHECK(!request.guidance.on() || classes > 0 || autoguided,
               "`guidance`: the model is unconditional, so there is no condition to guide by; leave it at 1");
  const auto check_noise = [&](const at::Tensor& noise, std::int64_t axes, const std::string& what,
                               const char* wanted) {
    if (!noise.defined()) return;
    const bool fits =
        noise.dim() == axes && noise.size(axes - 4) == count && noise.sizes().slice(axes - 3) == shape;
    DIFFIT_CHECK(fits, "{}: wanted `noise` [{}{}, {}], got [{}]", what, wanted, count, fmt::join(shape, ", "),
                 fmt::join(noise.sizes(), ", "));
  };
  check_noise(request.init_noise, 4, request.init_noise_from, "");
  check_noise(request.step_noise, 5, request.step_noise_from, "steps, ");
  DIFFIT_CHECK(!request.step_noise.defined() || request.step_noise.size(0) >= noisy_steps,
               "{}: {} steps add noise, the file has {} rows", request.step_noise_from, noisy_steps,
               request.step_noise.size(0));
}

SampleBatch::SampleBatch(const SampleRequest& request, std::int64_t first, std::int64_t size,
                         std::vector<std::int64_t> shape, at::Device device)
    : request_(request), first_(first), size_(size), shape_(std::move(shape)), device_(device) {}

namespace {

template <class Noise>
at::Tensor stack(const SampleRequest& request, std::int64_t first, std::int64_t size, const Noise& noise) {
  std::vector<at::Tensor> images;
  for (std::int64_t i = first; i < first + size; ++i) {
    images.push_back(noise(request.seeds[static_cast<std::size_t>(i)]));
  }
  return at::stack(images);
}

}  // namespace

at::Tensor SampleBatch::start() const {
  if (request_.init_noise.defined()) return request_.init_noise.narrow(0, first_, size_).to(device_);
  return stack(request_, first_, size_, [this](std::uint64_t seed) { return initial_noise(seed, shape_); })
      .to(device_);
}

at::Tensor SampleBatch::noise_of_step(std::int64_t k) const {
  if (!request_.step_noise.defined()) {
    return stack(request_, first_, size_, [&](std::uint64_t seed) { return step_noise(seed, k, shape_); })
        .to(device_);
  }
  return request_.step_noise[k].narrow(0, first_, size_).to(device_);
}

at::Tensor SampleBatch::labels(std::int64_t null_label) const {
  at::Tensor labels = at::full({size_}, null_label, at::kLong);
  if (!request_.labels.empty()) {
    std::copy_n(request_.labels.begin() + first_, size_, labels.mutable_data_ptr<std::int64_t>());
  }
  return labels.to(device_);
}

void make_batches(const SampleRequest& request, const std::vector<std::int64_t>& shape, at::Device device,
                  const std::function<at::Tensor(const SampleBatch&)>& make, const SampleSink& sink) {
  const at::NoGradGuard no_grad;
  const auto count = static_cast<std::int64_t>(request.seeds.size());
  for (std::int64_t first = request.first; first < count; first += request.batch) {
    const SampleBatch batch(request, first, std::min(request.batch, count - first), shape, device);
    const at::Tensor samples = make(batch).to(at::kFloat).to(at::kCPU).contiguous();
    if (!at::isfinite(samples).all().item<bool>()) {
      fail("the samples of seeds from {} on are not finite numbers: the model or `dtype` does not hold",
           request.seeds[static_cast<std::size_t>(first)]);
    }
    sink(first, samples);
  }
}

}  // namespace diffit::diffusion

// diffit/model.h.
#include "diffit/model.h"

#include <cmath>
#include <cstring>
#include <mutex>

#include "base/bundled.h"
#include "config/json_text.h"
#include "data/class_names.h"
#include "jobs/guard.h"
#include "jobs/model_tensors.h"
#include "jobs/no_monitor.h"
#include "model/diffusion_model.h"
#include "nn/diffit/structure.h"
#include "runtime/device.h"

namespace diffit {

namespace {

/// Levels of EDM's grid; a model with that schedule takes any.
constexpr double kUsualSigmaMin = 0.002, kUsualSigmaMax = 80;

std::string name_of_schedule(nn::Schedule schedule) {
  return schedule == nn::Schedule::vp_linear ? "vp_linear" : std::string(config::name_of(schedule));
}

ModelInfo info_of(const model::DiffusionModel& model, const io::WeightsFile& file,
                  const runtime::Runtime& runtime) {
  ModelInfo info;
  info.path = file.path().string();
  info.latent = model.is_latent();
  info.network = "diffit";
  if (const auto* image = std::get_if<nn::ImageConfig>(&model.config()))
    info.network = config::name_of(image->encoder);
  info.channels = model.channels();
  info.resolution = model.resolution();
  info.classes = model.classes();
  if (info.classes > 0) {
    if (const auto names = data::class_names_of(file.path(), file.metadata(), info.classes,
                                                base::home() / "presets/classes")) {
      for (std::int64_t label = 0; label < info.classes; ++label)
        info.class_names.push_back(names->name(label));
    }
  }
  const diffusion::Parameterisation& p = model.parameterisation();
  info.prediction = config::name_of(p.prediction);
  info.schedule = name_of_schedule(p.schedule);
  info.learned_variance = p.learned_variance;
  const diffusion::SigmaRange range = diffusion::sigma_range(p.schedule);
  const bool any = p.schedule == nn::Schedule::edm;
  info.sigma_min = any ? kUsualSigmaMin : range.least;
  info.sigma_max = any ? kUsualSigmaMax : range.most;
  info.parameters = nn::total(nn::cost_of(model.config())).parameters;
  info.config = config::json_text(nn::write_model_config(model.config()));
  info.device = runtime.device.str();
  info.dtype = runtime.dtype == at::kFloat ? "f32" : "bf16";
  return info;
}

}  // namespace

struct Model::Impl {
  model::DiffusionModel model;
  ModelInfo info;
  at::Device device;
  std::mutex one_at_a_time;
};

const ModelInfo& Model::info() const {
  return impl_->info;
}

namespace {

/// The estimate for checked shapes; see jobs/model_tensors.h.
at::Tensor denoised(Model::Impl& impl, const at::Tensor& x, const at::Tensor& sigma,
                    const at::Tensor& labels) {
  const ModelInfo& info = impl.info;
  const at::NoGradGuard no_grad;
  if (labels.defined()) {
    DIFFIT_CHECK(info.classes > 0, "`labels`: {} is an unconditional model", info.path);
    const at::Tensor on_host = labels.to(at::kCPU);
    for (std::int64_t i = 0; i < on_host.numel(); ++i) {
      const std::int64_t label = on_host.const_data_ptr<std::int64_t>()[i];
      DIFFIT_CHECK(label >= 0 && label <= info.classes,
                   "`labels`: wanted 0 to {} ({} is the null label), got {}", info.classes, info.classes,
                   label);
    }
  }
  const at::Tensor levels = sigma.to(at::kCPU);
  for (std::int64_t i = 0; i < levels.numel(); ++i) {
    const float level = levels.const_data_ptr<float>()[i];
    DIFFIT_CHECK(std::isfinite(level) && level > 0, "`sigma`: wanted finite numbers above 0, got {}", level);
  }
  DIFFIT_CHECK(at::isfinite(x).all().item<bool>(), "`x` contains NaN or infinity");
  const std::lock_guard lock(impl.one_at_a_time);
  if (impl.device.is_cuda()) runtime::use_gpu_numerics();
  const at::Tensor clean = impl.model.denoise(x, sigma, labels).to(x.device()).contiguous();
  if (!at::isfinite(clean).all().item<bool>()) {
    base::fail(
        "{}: the denoised result is not finite; likely causes are corrupt weights or an overflow of bf16: "
        "try `dtype` f32",
        info.path);
  }
  return clean;
}

template <class T>
at::Tensor view_of(std::span<const T> values, at::IntArrayRef shape, at::ScalarType type) {
  return at::from_blob(const_cast<T*>(values.data()), shape, type);
}

}  // namespace

at::Tensor jobs::denoise(const Model& model, const at::Tensor& x, const at::Tensor& sigma,
                         const at::Tensor& labels) {
  return jobs::guarded([&] { return denoised(model.impl(), x, sigma, labels); });
}

void Model::denoise(std::span<const float> x, std::span<const float> sigma,
                    std::span<const std::int64_t> labels, std::span<float> out) const {
  const ModelInfo& info = impl_->info;
  const auto batch = static_cast<std::int64_t>(sigma.size());
  const std::int64_t size = info.channels * info.resolution * info.resolution;
  DIFFIT_CHECK(batch > 0, "`sigma`: wanted at least one noise level, got none");
  DIFFIT_CHECK(static_cast<std::int64_t>(x.size()) == batch * size,
               "`x`: wanted {} numbers ({} x {} x {} x {}, one row for each `sigma`), got {}", batch * size,
               batch, info.channels, info.resolution, info.resolution, x.size());
  DIFFIT_CHECK(out.size() == x.size(), "`out`: wanted room for {} numbers, got {}", x.size(), out.size());
  DIFFIT_CHECK(labels.empty() || labels.size() == sigma.size(), "`labels`: wanted {} labels, got {}", batch,
               labels.size());
  jobs::guarded([&] {
    const at::Tensor given = labels.empty() ? at::Tensor() : view_of(labels, {batch}, at::kLong);
    const at::Tensor clean =
        denoised(*impl_, view_of(x, {batch, info.channels, info.resolution, info.resolution}, at::kFloat),
                 view_of(sigma, {batch}, at::kFloat), given);
    std::memcpy(out.data(), clean.const_data_ptr(), out.size_bytes());
  });
}

std::vector<float> Model::denoise(std::span<const float> x, std::span<const float> sigma,
                                  std::span<const std::int64_t> labels) const {
  std::vector<float> out(x.size());
  denoise(x, sigma, labels, out);
  return out;
}

Model open_model(const std::string& path, const RuntimeOptions& options) {
  return jobs::guarded([&] {
    const runtime::Runtime runtime =
        runtime::open_runtime(options, /*prefer_bf16=*/false, jobs::no_monitor());
    const io::WeightsFile file(base::model_path(path));
    model::DiffusionModel opened(file, runtime);
    ModelInfo info = info_of(opened, file, runtime);
    Model model;
    model.impl_ = std::make_shared<Model::Impl>(std::move(opened), std::move(info), runtime.device);
    return model;
  });
}

}  // namespace diffit

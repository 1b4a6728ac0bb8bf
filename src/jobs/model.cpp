// diffit/model.h.
#include "diffit/model.h"

#include <cmath>
#include <cstring>
#include <mutex>

#include "base/bundled.h"
#include "config/json_text.h"
#include "data/class_names.h"
#include "jobs/guard.h"
#include "jobs/no_monitor.h"
#include "model/diffusion_model.h"
#include "nn/diffit/structure.h"

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
  std::mutex one_at_a_time;
};

const ModelInfo& Model::info() const {
  return impl_->info;
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
  DIFFIT_CHECK(labels.empty() || info.classes > 0, "`labels`: {} is an unconditional model", info.path);
  for (const std::int64_t label : labels) {
    DIFFIT_CHECK(label >= 0 && label <= info.classes,
                 "`labels`: wanted 0 to {} ({} is the null label), got {}", info.classes, info.classes,
                 label);
  }
  for (const float level : sigma) {
    DIFFIT_CHECK(std::isfinite(level) && level > 0, "`sigma`: wanted finite numbers above 0, got {}", level);
  }
  jobs::guarded([&] {
    const at::NoGradGuard no_grad;
    const at::Tensor noisy = at::empty({batch, info.channels, info.resolution, info.resolution}, at::kFloat);
    std::memcpy(noisy.mutable_data_ptr(), x.data(), x.size_bytes());
    DIFFIT_CHECK(at::isfinite(noisy).all().item<bool>(), "`x` contains NaN or infinity");
    const at::Tensor levels = at::empty({batch}, at::kFloat);
    std::memcpy(levels.mutable_data_ptr(), sigma.data(), sigma.size_bytes());
    at::Tensor given;
    if (!labels.empty()) {
      given = at::empty({batch}, at::kLong);
      std::memcpy(given.mutable_data_ptr(), labels.data(), labels.size_bytes());
    }
    const std::lock_guard lock(impl_->one_at_a_time);
    const at::Tensor clean = impl_->model.denoise(noisy, levels, given).to(at::kCPU).contiguous();
    if (!at::isfinite(clean).all().item<bool>()) {
      base::fail(
          "{}: the denoised result is not finite; likely causes are corrupt weights or an overflow of bf16: "
          "try `dtype` f32",
          info.path);
    }
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
    model.impl_ = std::make_shared<Model::Impl>(std::move(opened), std::move(info));
    return model;
  });
}

}  // namespace diffit

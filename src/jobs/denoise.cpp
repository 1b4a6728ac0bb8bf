// The job behind diffit/denoise.h.
#include "diffit/denoise.h"

#include "base/bundled.h"
#include "base/output_check.h"
#include "jobs/guard.h"
#include "jobs/guidance_spec.h"
#include "jobs/latent_source.h"
#include "jobs/no_monitor.h"
#include "model/diffusion_model.h"
#include "nn/layers/weights_io.h"

namespace diffit::jobs {

namespace {

/// The tensors of the input, checked against the model.
class Input {
 public:
  explicit Input(const fs::path& path) : file_(path) {}

  /// float32 of that shape (-1: any), finite.
  at::Tensor floats(const std::string& name, const std::vector<std::int64_t>& shape) const {
    return take(name, Dtype::f32, shape);
  }
  at::Tensor labels(std::int64_t batch, std::int64_t classes) const {
    at::Tensor y = take("y", Dtype::i64, {batch});
    const bool in_range = y.ge(0).logical_and(y.le(classes)).all().item<bool>();
    DIFFIT_CHECK(in_range, "{}: y: wanted labels 0 to {} ({} is the null label)", where(), classes, classes);
    return y;
  }
  bool has(const std::string& name) const { return file_.find(name) != nullptr; }
  std::string where() const { return file_.path().string(); }

 private:
  at::Tensor take(const std::string& name, Dtype dtype, const std::vector<std::int64_t>& shape) const {
    const TensorView& view = file_.at(name);
    bool fits = view.shape.size() == shape.size();
    for (std::size_t i = 0; fits && i < shape.size(); ++i) fits = shape[i] < 0 || shape[i] == view.shape[i];
    DIFFIT_CHECK(fits && view.dtype == dtype, "{}: {}: wanted {} [{}], got {} [{}] (-1: any)", where(), name,
                 safetensors_name(dtype), fmt::join(shape, ", "), safetensors_name(view.dtype),
                 fmt::join(view.shape, ", "));
    at::Tensor tensor = to_tensor(view);
    DIFFIT_CHECK(tensor.numel() > 0, "{}: {} is empty", where(), name);
    DIFFIT_CHECK(!tensor.is_floating_point() || at::isfinite(tensor).all().item<bool>(),
                 "{}: {} contains NaN or infinity", where(), name);
    return tensor;
  }
  SafetensorsFile file_;
};

using Output = std::vector<std::pair<std::string, at::Tensor>>;

Output evaluate_at_sigmas(const DiffusionModel& model, const Input& input, const Guidance& guidance) {
  const ImageConfig& c = model.image_network()->config();
  const at::Tensor x = input.floats("x", {-1, c.in_channels, c.resolution, c.resolution});
  const std::int64_t batch = x.size(0);
  const at::Tensor sigma = input.floats("sigma", {batch});
  DIFFIT_CHECK(sigma.gt(0).all().item<bool>(), "{}: sigma: wanted numbers above 0", input.where());
  at::Tensor labels, augment_labels, raw;
  if (c.classes > 0) labels = input.labels(batch, c.classes);
  if (c.augment_labels > 0 && input.has("augment_labels"))
    augment_labels = input.floats("augment_labels", {batch, c.augment_labels});
  const at::Tensor d = model.denoise(x, sigma, labels, augment_labels, &raw);
  Output output{{"forward", raw}, {"denoised", d}};
  if (guidance.on()) {
    DIFFIT_CHECK(c.classes > 0,
                 "`guidance`: the model is unconditional; guidance needs a class-conditional model");
    DIFFIT_CHECK(!guidance.power_cosine,
                 "`guidance_schedule` power-cosine is defined on the timesteps of latent models");
    const at::Tensor unconditional =
        model.denoise(x, sigma, at::full_like(labels, c.classes), augment_labels);
    output.emplace_back("guided",
                        guided(guidance, d, unconditional, at::full({1}, guidance.scale, d.options())));
  }
  return output;
}

Output evaluate_at_timesteps(LatentEvaluator& model, const Input& input, const Guidance& guidance) {
  const LatentConfig& c = model.config();
  const at::Tensor x = input.floats("x", {-1, c.in_channels, c.input_size, c.input_size});
  const std::int64_t batch = x.size(0);
  const at::Tensor t = input.floats("t", {batch});
  const bool in_range = t.ge(0).logical_and(t.lt(1000)).all().item<bool>();
  DIFFIT_CHECK(in_range, "{}: t: wanted timesteps 0 to 999", input.where());
  const at::Tensor y = input.labels(batch, c.classes);
  const at::Tensor forward = model(x, t, y).to(at::kCPU);
  Output output{{"forward", forward}};
  if (guidance.on()) {
    const at::Tensor null = at::full_like(y, c.classes);
    std::vector<at::Tensor> scales;
    for (std::int64_t i = 0; i < batch; ++i) {
      const double scale = guidance.scale_at(t[i].item<double>(), 1000);
      scales.push_back(at::full({1}, guidance.counts(scale) ? scale : 1, t.options()));
    }
    output.emplace_back("guided",
                        guided(guidance, forward.narrow(1, 0, c.in_channels),
                               model(x, t, null).to(at::kCPU).narrow(1, 0, c.in_channels), at::cat(scales)));
  }
  return output;
}

DenoiseResult run_denoise(const DenoiseSpec& spec, const RuntimeOptions& options, Monitor& monitor) {
  const at::NoGradGuard no_grad;
  check_output_file(spec.out, "`out`");
  const Runtime runtime = open_runtime(options, /*prefer_bf16=*/false, monitor);
  const WeightsFile file(model_path(spec.model));
  const bool latent = std::holds_alternative<LatentConfig>(config_of(file));
  const Guidance guidance = parse_guidance(spec.guidance, {.channels = latent ? 3 : 0, .tolerance = 0});
  DIFFIT_CHECK(!spec.guidance.interval,
               "`guidance_interval` applies only to sampling; denoise guides every row");
  if (latent) check_null_row(file, guidance);
  const Input input(spec.in);
  const DiffusionModel model(file, runtime);
  Output output = latent ? evaluate_at_timesteps(*model.latent_network(), input, guidance)
                         : evaluate_at_sigmas(model, input, guidance);
  std::vector<TensorView> views;
  DenoiseResult result;
  for (auto& [name, tensor] : output) {
    tensor = tensor.to(at::kCPU).contiguous();
    if (!at::isfinite(tensor).all().item<bool>())
      fail("{} is not finite; likely causes are corrupt weights or an overflow of bf16: try `dtype` f32",
           name);
    views.push_back(view_of(name, tensor));
    result.tensors.push_back({name, tensor.sizes().vec()});
  }
  write_safetensors(spec.out, views, {});
  return result;
}

}  // namespace

}  // namespace diffit::jobs

namespace diffit {

DenoiseResult denoise(const DenoiseSpec& spec, const RuntimeOptions& runtime, Monitor& monitor) {
  return jobs::guarded([&] { return jobs::run_denoise(spec, runtime, monitor); });
}

DenoiseResult denoise(const DenoiseSpec& spec, const RuntimeOptions& runtime) {
  return denoise(spec, runtime, jobs::no_monitor());
}

}  // namespace diffit

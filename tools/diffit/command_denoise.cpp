#include "base/bundled.h"
#include "base/error.h"
#include "base/output_check.h"
#include "diffusion/generate.h"
#include "jobs/latent_source.h"
#include "model/model_file.h"
#include "runtime/autocast.h"
#include "tools/diffit/command.h"
#include "tools/diffit/guidance_options.h"

namespace diffit::cli {

namespace {

struct DenoiseOptions {
  std::string model, in, out;
  GuidanceSpec guidance;
};

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

Output evaluate(const ImageDiffiT& model, const Input& input, const Guidance& guidance,
                const Runtime& machine) {
  const ImageConfig& c = model.config();
  const at::Tensor x = input.floats("x", {-1, c.in_channels, c.resolution, c.resolution}).to(machine.device);
  const std::int64_t batch = x.size(0);
  const at::Tensor sigma = input.floats("sigma", {batch}).to(machine.device);
  DIFFIT_CHECK(sigma.gt(0).all().item<bool>(), "{}: sigma: wanted numbers above 0", input.where());
  Condition condition;
  if (c.classes > 0) condition.labels = input.labels(batch, c.classes).to(machine.device);
  if (c.augment_labels > 0 && input.has("augment_labels")) {
    condition.augment_labels = input.floats("augment_labels", {batch, c.augment_labels}).to(machine.device);
  }
  at::Tensor raw;
  const auto denoise = [&](const Condition& by) {
    const Autocast autocast(machine.device.type(), machine.dtype);
    return denoise_images(model, x, sigma, by, &raw).to(at::kFloat);
  };
  const at::Tensor d = denoise(condition);
  Output output{{"forward", raw}, {"denoised", d}};
  if (guidance.on()) {
    DIFFIT_CHECK(c.classes > 0,
                 "--guidance: the model is unconditional; guidance needs a class-conditional model");
    DIFFIT_CHECK(!guidance.power_cosine,
                 "--guidance-schedule power-cosine is defined on the timesteps of latent models");
    Condition none = condition;
    none.labels = at::full_like(condition.labels, c.classes);
    const at::Tensor unconditional = denoise(none);
    output.emplace_back("guided",
                        guided(guidance, d, unconditional, at::full({1}, guidance.scale, d.options())));
  }
  return output;
}

Output evaluate(LatentEvaluator& model, const Input& input, const Guidance& guidance) {
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

void run_denoise(const DenoiseOptions& options, const CommonOptions& common) {
  const at::NoGradGuard no_grad;
  check_output_file(options.out, "-o");
  const Runtime machine = open_machine(common, /*prefer_bf16=*/false);
  const WeightsFile file(model_path(options.model));
  const bool latent = std::holds_alternative<LatentConfig>(config_of(file));
  const Guidance guidance = parse_guidance(options.guidance, {.channels = latent ? 3 : 0, .tolerance = 0});
  DIFFIT_CHECK(!options.guidance.interval,
               "--guidance-interval applies only to diffit sample; denoise guides every row");
  if (latent) check_null_row(file, guidance);
  const Input input(options.in);
  Output output =
      latent ? evaluate(*open_latent_model(file, machine), input, guidance)
             : evaluate(std::get<ImageDiffiT>(load_model(file, machine.device)), input, guidance, machine);
  std::vector<TensorView> views;
  Json shapes = Json::object();
  for (auto& [name, tensor] : output) {
    tensor = tensor.to(at::kCPU).contiguous();
    if (!at::isfinite(tensor).all().item<bool>())
      fail("{} is not finite; likely causes are corrupt weights or an overflow of bf16: try --dtype f32",
           name);
    views.push_back(view_of(name, tensor));
    shapes[name] = tensor.sizes().vec();
  }
  write_safetensors(options.out, views, {});
  print_result(common, {{"out", options.out}, {"tensors", shapes}}, options.out);
}

}  // namespace

void add_denoise_command(CLI::App& app, CommonOptions& common) {
  auto o = std::make_shared<DenoiseOptions>();
  CLI::App* command = add_command(app, common, "denoise", "Evaluate a network once on given tensors");
  command->add_option("-m,--model", o->model, ".safetensors, or the name of a bundled model")->required();
  command
      ->add_option(
          "-i,--in", o->in,
          "safetensors file with `x` [B,C,H,W] F32, `y` [B] I64 for conditional models (label = number of "
          "classes: the null label), and `sigma` [B] F32 (image-space) or `t` [B] F32 (latent, 0..999)")
      ->required();
  command
      ->add_option(
          "-o,--out", o->out,
          "safetensors file to write: `forward`; `denoised` (image-space models); `guided` with --guidance")
      ->required();
  add_guidance_options(*command, o->guidance, 0);
  command->callback([o, &common] { run_denoise(*o, common); });
}

}  // namespace diffit::cli

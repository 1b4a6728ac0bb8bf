// Encoding and decoding images (diffit/autoencoder.h).
#include "diffit/autoencoder.h"

#include <algorithm>
#include <chrono>

#include "base/bundled.h"
#include "base/output_check.h"
#include "base/stopwatch.h"
#include "base/text.h"
#include "jobs/advance.h"
#include "jobs/guard.h"
#include "jobs/image_output_path.h"
#include "jobs/no_monitor.h"
#include "jobs/vae_images.h"
#include "model/vae_file.h"
#include "nn/layers/weights_io.h"
#include "runtime/autocast.h"
#include "runtime/runtime.h"

namespace diffit::jobs {

namespace {

constexpr const char* kVaeKey = "diffit.vae";      // identity of the autoencoder that wrote the latents
constexpr const char* kScaleKey = "diffit.scale";  // what they were multiplied by

struct Opened {
  Runtime machine;
  Vae vae;
  double scale;
  std::string scale_from;    // as OpenedVae's; "option" for `scale`
  std::string rounded_from;  // the identity that the file says it was rounded from
};

template <class Spec>
Opened open_vae(const Spec& spec, const RuntimeOptions& options, Monitor& monitor) {
  DIFFIT_CHECK(spec.batch >= 0 && spec.scale >= 0, "`batch` and `scale`: wanted at least 0, got {} and {}",
               spec.batch, spec.scale);
  const Runtime machine = open_runtime(options, /*prefer_bf16=*/false, monitor);
  OpenedVae opened = open_autoencoder(model_path(spec.vae), machine.device);
  const double scale = spec.scale > 0 ? spec.scale : opened.vae.config().scale;
  if (spec.scale <= 0 && opened.scale_from == "assumed") {
    monitor.note(
        fmt::format("note: {} does not state the scale of its latents, {} is assumed (for "
                    "Stable Diffusion XL give `scale` 0.13025)",
                    opened.weights.string(), scale));
  }
  const auto rounded = opened.metadata.find(kRoundedFromKey);
  return {machine, std::move(opened.vae), scale, spec.scale > 0 ? "option" : opened.scale_from,
          rounded == opened.metadata.end() ? std::string() : rounded->second};
}

/// As asked for, or about the work of one image of 512 x 512.
std::int64_t batch_of(std::int64_t asked, std::int64_t height, std::int64_t width) {
  constexpr std::int64_t pixels = 512 * 512, most = 64;
  return asked > 0 ? asked : std::clamp<std::int64_t>(pixels / (height * width), 1, most);
}

void check_finite(const at::Tensor& results, std::int64_t first, const char* what, const Runtime& machine) {
  for (std::int64_t i = 0; i < results.size(0); ++i) {
    if (at::isfinite(results[i]).all().item<bool>()) continue;
    fail("{} {} is not finite, no file is written: {}", what, first + i,
         machine.dtype == at::kFloat ? "likely causes are corrupt weights or input"
                                     : "likely cause: bf16 overflow, try `dtype` f32");
  }
}

/// The multiple of `factor` below and above, for people.
void check_sides(const at::Tensor& image, std::int64_t factor, const std::string& name) {
  const std::int64_t height = image.size(1), width = image.size(2);
  const auto below = [factor](std::int64_t side) {
    return std::max(side / factor, std::int64_t{1}) * factor;
  };
  DIFFIT_CHECK(height % factor == 0 && width % factor == 0,
               "{}: {} x {} pixels; the autoencoder needs sides that are multiples of {}: crop it to {} x "
               "{}, or resize it",
               name, width, height, factor, below(width), below(height));
}

EncodeResult run_encode(const EncodeSpec& spec, const RuntimeOptions& options, Monitor& monitor) {
  const at::NoGradGuard no_grad;
  const fs::path out = spec.out;
  DIFFIT_CHECK(out.extension() == ".safetensors", "`out` {}: wanted a .safetensors file for latents",
               spec.out);
  check_output_file(out, "`out`");
  const auto input = open_image_input(spec.in);
  const auto [machine, vae, scale, scale_from, rounded_from] = open_vae(spec, options, monitor);
  const auto start = Clock::now();
  std::vector<at::Tensor> batch, latents;
  std::int64_t done = 0;
  const auto flush = [&, &machine_ = machine, &vae_ = vae, scale_ = scale] {
    if (batch.empty()) return;
    const at::Tensor images = at::stack(batch).to(machine_.device);
    const Autocast autocast(machine_.device.type(), machine_.dtype);
    const at::Tensor mean = vae_.encode(images).narrow(1, 0, vae_.config().latent_channels);
    latents.push_back((mean * scale_).to(at::kCPU, at::kFloat));
    check_finite(latents.back(), done, "latent", machine_);
    done += mean.size(0);
    batch.clear();
    advance(monitor, {done, input->size(), "images"}, "interrupted; no file was written");
  };
  at::Tensor first;
  input->read([&, &vae_ = vae](const std::string& name, const at::Tensor& given) {
    const at::Tensor image = with_channels(given, vae_.config().in_channels, name);
    check_sides(image, vae_.factor(), name);
    if (!first.defined()) first = image;
    DIFFIT_CHECK(image.sizes() == first.sizes(),
                 "{}: {} x {} pixels, but the first image has {} x {}; all latents of a file have one size: "
                 "encode each size separately, or resize the images (diffit data convert --size)",
                 name, image.size(2), image.size(1), first.size(2), first.size(1));
    batch.push_back(image);
    if (static_cast<std::int64_t>(batch.size()) >= batch_of(spec.batch, image.size(1), image.size(2)))
      flush();
  });
  flush();
  const at::Tensor all = at::cat(latents).contiguous();
  const TensorView views[] = {view_of("latents", all)};
  const std::string identity = vae_identity(vae);
  write_safetensors(out, views, {{kVaeKey, identity}, {kScaleKey, fmt::format("{}", scale)}});
  EncodeResult result;
  result.shape = all.sizes().vec();
  result.scale = scale;
  result.scale_from = scale_from;
  result.vae_identity = identity;
  result.mean = all.mean().item<double>();
  result.deviation = all.std(false).item<double>();
  result.seconds = seconds_since(start);
  return result;
}

/// `latents`, or the `samples` of a latent model, [N, L, h, w] floating point, and what they say of
/// themselves.
at::Tensor read_latents(const DecodeSpec& spec, const Vae& vae, double scale,
                        const std::string& rounded_from) {
  const SafetensorsFile file(spec.in);
  const TensorView* samples = file.find("samples");
  const TensorView& view =
      file.find("latents") == nullptr && samples != nullptr ? *samples : file.at("latents");
  const std::int64_t channels = vae.config().latent_channels;
  DIFFIT_CHECK(view.shape.size() == 4 && view.shape[1] == channels && view.count() > 0,
               "{}: {}: wanted latents [N, {}, h, w], got [{}]; were they encoded by another autoencoder?",
               spec.in, view.name, channels, fmt::join(view.shape, ", "));
  at::Tensor latents = to_tensor(view);
  DIFFIT_CHECK(latents.is_floating_point(), "{}: {}: wanted floating point, got {}", spec.in, view.name,
               safetensors_name(view.dtype));
  latents = latents.to(at::kFloat);
  DIFFIT_CHECK(at::isfinite(latents).all().item<bool>(), "{}: {} contains NaN or infinity", spec.in,
               view.name);
  if (const auto found = file.metadata().find(kVaeKey); found != file.metadata().end()) {
    const std::string identity = vae_identity(vae);
    DIFFIT_CHECK(
        found->second == identity || found->second == rounded_from,
        "{}: the latents were encoded by another autoencoder ({}; this one is {}): decode them with that one",
        spec.in, found->second, identity);
  }
  if (const auto found = file.metadata().find(kScaleKey); found != file.metadata().end()) {
    const double written = parse_double(found->second, spec.in + ": " + kScaleKey);
    DIFFIT_CHECK(written == scale,
                 "{}: the latents have scale {}, but scale {} was requested: give `scale` {}", spec.in,
                 written, scale, written);
  }
  return latents;
}

/// Latent rows of a strip; 0: whole. By itself, images above 64 x 64 latents go in strips.
std::int64_t strip_rows(const DecodeSpec& spec, const at::Tensor& latents) {
  constexpr std::int64_t whole = 64, strip = 4;
  if (spec.tile == "auto") return latents.size(2) * latents.size(3) > whole * whole ? strip : 0;
  const std::int64_t rows = parse_int(spec.tile, "`tile` (auto, or latent rows)");
  DIFFIT_CHECK(rows >= 0, "`tile`: wanted auto, 0 (off) or latent rows, got {}", rows);
  return rows;
}

DecodeResult run_decode(const DecodeSpec& spec, const RuntimeOptions& options, Monitor& monitor) {
  const at::NoGradGuard no_grad;
  const Rounding rounding = rounding_named(spec.rounding, "`rounding`");
  check_image_output_path(spec.out);
  const auto [machine, vae, scale, scale_from, rounded_from] = open_vae(spec, options, monitor);
  const at::Tensor latents = read_latents(spec, vae, scale, rounded_from);
  const std::int64_t rows = strip_rows(spec, latents), factor = vae.factor();
  const std::int64_t count = latents.size(0);
  const std::vector<std::int64_t> shape{count, vae.config().in_channels, latents.size(2) * factor,
                                        latents.size(3) * factor};
  const Json made_by = {
      {"vae", spec.vae}, {"latents", spec.in}, {"scale", scale}, {"rounding", spec.rounding}};
  const auto output = open_image_output(spec.out, shape, rounding, made_by);
  const auto start = Clock::now();
  const std::int64_t most = batch_of(spec.batch, shape[2], shape[3]);
  for (std::int64_t first = 0; first < count; first += most) {
    const std::int64_t size = std::min(most, count - first);
    const at::Tensor z = latents.narrow(0, first, size).to(machine.device) / scale;
    const Autocast autocast(machine.device.type(), machine.dtype);
    const at::Tensor images =
        (rows > 0 ? vae.decode_in_strips(z, rows) : vae.decode(z)).to(at::kCPU, at::kFloat);
    check_finite(images, first, "picture", machine);
    output->add(images);
    advance(monitor, {first + size, count, "images"},
            fmt::format("interrupted after {} of {} images", first + size, count));
  }
  output->finish();
  return {shape, scale, scale_from, rows, seconds_since(start)};
}

}  // namespace

}  // namespace diffit::jobs

namespace diffit {

EncodeResult encode(const EncodeSpec& spec, const RuntimeOptions& runtime, Monitor& monitor) {
  return jobs::guarded([&] { return jobs::run_encode(spec, runtime, monitor); });
}

EncodeResult encode(const EncodeSpec& spec, const RuntimeOptions& runtime) {
  return encode(spec, runtime, jobs::no_monitor());
}

DecodeResult decode(const DecodeSpec& spec, const RuntimeOptions& runtime, Monitor& monitor) {
  return jobs::guarded([&] { return jobs::run_decode(spec, runtime, monitor); });
}

DecodeResult decode(const DecodeSpec& spec, const RuntimeOptions& runtime) {
  return decode(spec, runtime, jobs::no_monitor());
}

}  // namespace diffit

// diffit vae encode | decode.
#include <algorithm>
#include <chrono>

#include "base/bundled.h"
#include "base/error.h"
#include "base/output_check.h"
#include "base/text.h"
#include "jobs/image_output_path.h"
#include "jobs/vae_images.h"
#include "model/vae_file.h"
#include "nn/layers/weights_io.h"
#include "runtime/autocast.h"
#include "tools/diffit/command.h"
#include "tools/diffit/progress.h"

namespace diffit::cli {

namespace {

constexpr const char* kVaeKey = "diffit.vae";      // identity of the autoencoder that wrote the latents
constexpr const char* kScaleKey = "diffit.scale";  // what they were multiplied by

struct VaeOptions {
  std::string vae, in, out, rounding = "nearest", tile = "auto";
  std::int64_t batch = 0;
  double scale = 0;  // 0: the file's
};

struct Opened {
  Runtime machine;
  Vae vae;
  double scale;
  std::string scale_from;    // as OpenedVae's; "option" for --scale
  std::string rounded_from;  // the identity that the file says it was rounded from
};

Opened open_vae(const VaeOptions& options, const CommonOptions& common) {
  const Runtime machine = open_machine(common, /*prefer_bf16=*/false);
  OpenedVae opened = open_autoencoder(model_path(options.vae), machine.device);
  const double scale = options.scale > 0 ? options.scale : opened.vae.config().scale;
  if (options.scale <= 0 && opened.scale_from == "assumed") {
    print_note(common, fmt::format("note: {} does not state the scale of its latents, {} is assumed (for "
                                   "Stable Diffusion XL give --scale 0.13025)",
                                   opened.weights.string(), scale));
  }
  const auto rounded = opened.metadata.find(kRoundedFromKey);
  return {machine, std::move(opened.vae), scale, options.scale > 0 ? "option" : opened.scale_from,
          rounded == opened.metadata.end() ? std::string() : rounded->second};
}

/// As asked for, or about the work of one image of 512 x 512.
std::int64_t batch_of(const VaeOptions& options, std::int64_t height, std::int64_t width) {
  constexpr std::int64_t pixels = 512 * 512, most = 64;
  return options.batch > 0 ? options.batch : std::clamp<std::int64_t>(pixels / (height * width), 1, most);
}

void check_finite(const at::Tensor& results, std::int64_t first, const char* what, const Runtime& machine) {
  for (std::int64_t i = 0; i < results.size(0); ++i) {
    if (at::isfinite(results[i]).all().item<bool>()) continue;
    fail("{} {} is not finite, no file is written: {}", what, first + i,
         machine.dtype == at::kFloat ? "likely causes are corrupt weights or input"
                                     : "likely cause: bf16 overflow, try --dtype f32");
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

std::string rate(std::int64_t images, double seconds) {
  return fmt::format("{} images in {} ({:.1f} a second)", images, human_seconds(seconds),
                     static_cast<double>(images) / seconds);
}

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void run_encode(const VaeOptions& options, const CommonOptions& common) {
  const at::NoGradGuard no_grad;
  const fs::path out = options.out;
  DIFFIT_CHECK(out.extension() == ".safetensors", "-o {}: wanted a .safetensors file for latents",
               options.out);
  check_output_file(out, "-o");
  const auto input = open_image_input(options.in);
  const auto [machine, vae, scale, scale_from, rounded_from] = open_vae(options, common);
  const auto start = Clock::now();
  ProgressLine line(common);
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
    line.show_count(static_cast<double>(done), static_cast<double>(input->size()), "pictures");
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
    if (static_cast<std::int64_t>(batch.size()) >= batch_of(options, image.size(1), image.size(2))) flush();
  });
  flush();
  const at::Tensor all = at::cat(latents).contiguous();
  const TensorView views[] = {view_of("latents", all)};
  const std::string identity = vae_identity(vae);
  write_safetensors(out, views, {{kVaeKey, identity}, {kScaleKey, fmt::format("{}", scale)}});
  const double seconds = seconds_since(start);
  line.say(rate(done, seconds));
  print_result(common,
               {{"out", options.out},
                {"latents", all.sizes().vec()},
                {"scale", scale},
                {"scale_from", scale_from},
                {"vae", identity},
                {"mean", all.mean().item<double>()},
                {"deviation", all.std(false).item<double>()},
                {"seconds", seconds}},
               options.out);
}

/// `latents`, or the `samples` of a latent model, [N, L, h, w] floating point, and what they say of
/// themselves.
at::Tensor read_latents(const VaeOptions& options, const Vae& vae, double scale,
                        const std::string& rounded_from) {
  const SafetensorsFile file(options.in);
  const TensorView* samples = file.find("samples");
  const TensorView& view =
      file.find("latents") == nullptr && samples != nullptr ? *samples : file.at("latents");
  const std::int64_t channels = vae.config().latent_channels;
  DIFFIT_CHECK(view.shape.size() == 4 && view.shape[1] == channels && view.count() > 0,
               "{}: {}: wanted latents [N, {}, h, w], got [{}]; were they encoded by another autoencoder?",
               options.in, view.name, channels, fmt::join(view.shape, ", "));
  at::Tensor latents = to_tensor(view);
  DIFFIT_CHECK(latents.is_floating_point(), "{}: {}: wanted floating point, got {}", options.in, view.name,
               safetensors_name(view.dtype));
  latents = latents.to(at::kFloat);
  DIFFIT_CHECK(at::isfinite(latents).all().item<bool>(), "{}: {} contains NaN or infinity", options.in,
               view.name);
  if (const auto found = file.metadata().find(kVaeKey); found != file.metadata().end()) {
    const std::string identity = vae_identity(vae);
    DIFFIT_CHECK(
        found->second == identity || found->second == rounded_from,
        "{}: the latents were encoded by another autoencoder ({}; this one is {}): decode them with that one",
        options.in, found->second, identity);
  }
  if (const auto found = file.metadata().find(kScaleKey); found != file.metadata().end()) {
    const double written = parse_double(found->second, options.in + ": " + kScaleKey);
    DIFFIT_CHECK(written == scale,
                 "{}: the latents have scale {}, but scale {} was requested: give --scale {}", options.in,
                 written, scale, written);
  }
  return latents;
}

/// Latent rows of a strip; 0: whole. By itself, images above 64 x 64 latents go in strips.
std::int64_t strip_rows(const VaeOptions& options, const at::Tensor& latents) {
  constexpr std::int64_t whole = 64, strip = 4;
  if (options.tile == "auto") return latents.size(2) * latents.size(3) > whole * whole ? strip : 0;
  const std::int64_t rows = parse_int(options.tile, "--tile (auto, or latent rows)");
  DIFFIT_CHECK(rows >= 0, "--tile: wanted auto, 0 (off) or latent rows, got {}", rows);
  return rows;
}

void run_decode(const VaeOptions& options, const CommonOptions& common) {
  const at::NoGradGuard no_grad;
  const Rounding rounding = rounding_named(options.rounding, "--rounding");
  check_image_output_path(options.out);
  const auto [machine, vae, scale, scale_from, rounded_from] = open_vae(options, common);
  const at::Tensor latents = read_latents(options, vae, scale, rounded_from);
  const std::int64_t rows = strip_rows(options, latents), factor = vae.factor();
  const std::int64_t count = latents.size(0);
  const std::vector<std::int64_t> shape{count, vae.config().in_channels, latents.size(2) * factor,
                                        latents.size(3) * factor};
  const Json made_by = {
      {"vae", options.vae}, {"latents", options.in}, {"scale", scale}, {"rounding", options.rounding}};
  const auto output = open_image_output(options.out, shape, rounding, made_by);
  const auto start = Clock::now();
  ProgressLine line(common);
  const std::int64_t most = batch_of(options, shape[2], shape[3]);
  for (std::int64_t first = 0; first < count; first += most) {
    const std::int64_t size = std::min(most, count - first);
    const at::Tensor z = latents.narrow(0, first, size).to(machine.device) / scale;
    const Autocast autocast(machine.device.type(), machine.dtype);
    const at::Tensor images =
        (rows > 0 ? vae.decode_in_strips(z, rows) : vae.decode(z)).to(at::kCPU, at::kFloat);
    check_finite(images, first, "picture", machine);
    output->add(images);
    line.show_count(static_cast<double>(first + size), static_cast<double>(count), "pictures");
  }
  output->finish();
  const double seconds = seconds_since(start);
  line.say(rate(count, seconds));
  print_result(common,
               {{"out", options.out},
                {"images", shape},
                {"scale", scale},
                {"scale_from", scale_from},
                {"tile", rows},
                {"seconds", seconds}},
               options.out);
}

void add_shared(CLI::App& command, VaeOptions& o, const char* in, const char* out) {
  command
      .add_option("--vae", o.vae,
                  "Stable Diffusion's autoencoder or one trained by diffit: .safetensors, .bin, .pt or .ckpt "
                  "with diffusers' or the original tensor names, alone or in a full checkpoint, or a "
                  "diffusers folder (its config.json is used)")
      ->required();
  command.add_option("-i,--in", o.in, in)->required();
  command.add_option("-o,--out", o.out, out)->required();
  command
      .add_option("--batch", o.batch,
                  "images per batch; does not change the result; default about 512 x 512 pixels")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 20));
  command
      .add_option("--scale", o.scale, "scale of the latents; default the one stated in the file, or 0.18215")
      ->check(CLI::Range(1e-6, 1e6));
}

}  // namespace

void add_vae_command(CLI::App& app, CommonOptions& common) {
  CLI::App* vae =
      app.add_subcommand("vae", "Encode images into latents and decode latents with an autoencoder");
  vae->require_subcommand(1);

  CLI::App* encode =
      add_command(*vae, common, "encode", "Encode images: latents are the posterior mean times the scale");
  const auto encode_options = std::make_shared<VaeOptions>();
  add_shared(*encode, *encode_options,
             "an image, a folder or zip of images (ordered by name), .npz (arr_0 uint8 [N,H,W,C]) or "
             ".safetensors (`images` [N,C,H,W] F32 in [-1,1]); all of one size",
             "the .safetensors file to write: `latents` [N,L,h,w] F32");
  encode->callback([&common, encode_options] { run_encode(*encode_options, common); });

  CLI::App* decode = add_command(*vae, common, "decode", "Decode latents into images");
  const auto o = std::make_shared<VaeOptions>();
  add_shared(*decode, *o, ".safetensors file with `latents` (or `samples`) [N,L,h,w], scaled",
             "output: x.png (one image, or a grid), dir/ (one PNG per image), x.npz (arr_0 uint8), "
             "x.safetensors (`images` F32, not clamped to [-1,1])");
  decode
      ->add_option(
          "--rounding", o->rounding,
          "conversion to bytes: nearest (127.5 x + 128), or truncate (127.5 (x + 1)) as in the released code")
      ->capture_default_str();
  decode
      ->add_option("--tile", o->tile,
                   "latent rows decoded at a time, 0 for all; saves memory without changing the image; auto: "
                   "4 above 64 x 64 latents")
      ->capture_default_str();
  decode->footer(
      "\nExamples:\n"
      "  diffit vae encode --vae vae.safetensors -i pictures/ -o latents.safetensors\n"
      "  diffit vae decode --vae vae.safetensors -i latents.safetensors -o pictures/");
  decode->callback([&common, o] { run_decode(*o, common); });
}

}  // namespace diffit::cli

// diffit vae encode | decode.
#include "base/text.h"
#include "diffit/autoencoder.h"
#include "jobs/result_json.h"
#include "tools/diffit/progress.h"

namespace diffit::cli {

namespace {

std::string rate(std::int64_t images, double seconds) {
  return fmt::format("{} images in {} ({:.1f} a second)", images, human_seconds(seconds),
                     static_cast<double>(images) / seconds);
}

void print_encoded(const EncodeSpec& spec, const CommonOptions& common) {
  TerminalMonitor monitor(common);
  const EncodeResult r = encode(spec, common, monitor);
  monitor.note(rate(r.shape[0], r.seconds));
  Json object = {{"out", spec.out}};
  object.update(selected(json_of(r), {{"latents", "shape"},
                                      {"scale", "scale"},
                                      {"scale_from", "scale_from"},
                                      {"vae", "vae_identity"},
                                      {"mean", "mean"},
                                      {"deviation", "standard_deviation"},
                                      {"seconds", "seconds"}}));
  print_result(common, object, spec.out);
}

void print_decoded(const DecodeSpec& spec, const CommonOptions& common) {
  TerminalMonitor monitor(common);
  const DecodeResult r = decode(spec, common, monitor);
  monitor.note(rate(r.shape[0], r.seconds));
  Json object = {{"out", spec.out}};
  object.update(selected(json_of(r), {{"images", "shape"},
                                      {"scale", "scale"},
                                      {"scale_from", "scale_from"},
                                      {"tile", "tile"},
                                      {"seconds", "seconds"}}));
  print_result(common, object, spec.out);
}

template <class Spec>
void add_shared(CLI::App& command, Spec& o, const char* in, const char* out) {
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
  const auto encode_options = std::make_shared<EncodeSpec>();
  add_shared(*encode, *encode_options,
             "an image, a folder or zip of images (ordered by name), .npz (arr_0 uint8 [N,H,W,C]) or "
             ".safetensors (`images` [N,C,H,W] F32 in [-1,1]); all of one size",
             "the .safetensors file to write: `latents` [N,L,h,w] F32");
  encode->callback([&common, encode_options] { print_encoded(*encode_options, common); });

  CLI::App* decode = add_command(*vae, common, "decode", "Decode latents into images");
  const auto o = std::make_shared<DecodeSpec>();
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
  decode->callback([&common, o] { print_decoded(*o, common); });
}

}  // namespace diffit::cli

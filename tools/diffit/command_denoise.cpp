#include "diffit/denoise.h"

#include "tools/diffit/guidance_options.h"
#include "tools/diffit/progress.h"

namespace diffit::cli {

namespace {

void run_denoise(const DenoiseSpec& spec, const CommonOptions& common) {
  TerminalMonitor monitor(common);
  Json shapes = Json::object();
  for (const auto& [name, shape] : denoise(spec, common, monitor).tensors) shapes[name] = shape;
  print_result(common, {{"out", spec.out}, {"tensors", shapes}}, spec.out);
}

}  // namespace

void add_denoise_command(CLI::App& app, CommonOptions& common) {
  auto o = std::make_shared<DenoiseSpec>();
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

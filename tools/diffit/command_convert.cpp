#include "diffit/convert.h"

#include "base/text.h"
#include "tools/diffit/command.h"

namespace diffit::cli {

namespace {

void print_conversion(ConvertSpec spec, const CommonOptions& common) {
  spec.dtype = common.dtype;
  const ConvertResult result = convert_model(spec);
  print_result(common,
               {{"out", spec.destination},
                {"from", result.from},
                {"tensors", result.tensors},
                {"bytes", result.bytes},
                {"config", result.config}},
               fmt::format("{}: {} tensors, {}, configuration {}", spec.destination, result.tensors,
                           human_bytes(static_cast<double>(result.bytes)), result.config));
}

}  // namespace

void add_convert_command(CLI::App& app, CommonOptions& common) {
  auto o = std::make_shared<ConvertSpec>();
  CLI::App* command = add_command(
      app, common, "convert", "Convert a model to one .safetensors file, optionally in another element type");
  command
      ->add_option("source", o->source,
                   "a bundled model, .safetensors, the index of a sharded set (*.index.json), a state dict "
                   "written by torch.save (.pt, .pth, .bin, .ckpt; no code in it is executed), or a "
                   "diffusers folder with an autoencoder")
      ->required();
  command->add_option("destination", o->destination, "the .safetensors file to write")->required();
  auto* ema = command->add_flag("--ema", o->ema, "take the EMA weights of a file that holds both sets");
  command->add_flag("--no-ema", o->no_ema, "take the trained weights of a file that holds both sets")
      ->excludes(ema);
  command->add_flag("--null-row", o->null_row,
                    "add a row for the null label to the label table of a latent model that was trained "
                    "without label dropout, so that it can be sampled without guidance");
  CLI::Option* dtype = command->get_option("--dtype");
  dtype->description("element type of the weights in the file: auto (unchanged), f32, f16, bf16");
  command->footer(
      "\n"
      "If a .pt file holds both sets of weights, the EMA weights are taken by default. Integers are not "
      "converted; a\n"
      "value that the new type cannot represent is an error that names its tensor. Examples:\n"
      "  diffit convert diffit_256.safetensors small.safetensors --dtype bf16\n"
      "  diffit convert checkpoint.pt model.safetensors --ema");
  command->callback([o, &common] { print_conversion(*o, common); });
}

}  // namespace diffit::cli

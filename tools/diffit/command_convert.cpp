#include "base/bundled.h"
#include "base/error.h"
#include "base/output_check.h"
#include "base/text.h"
#include "io/file_kind.h"
#include "io/tensors/npz.h"
#include "model/convert_model.h"
#include "model/model_file.h"
#include "model/vae_file.h"
#include "tools/diffit/command.h"

namespace diffit::cli {

namespace {

struct ConvertOptions {
  std::string source, destination, dtype;
  bool ema = false, no_ema = false, null_row = false;
};

std::optional<Dtype> dtype_named(const std::string& name) {
  if (name.empty() || name == "auto") return std::nullopt;
  if (name == "f32") return Dtype::f32;
  if (name == "f16") return Dtype::f16;
  if (name == "bf16") return Dtype::bf16;
  reject("--dtype: wanted f32, f16 or bf16, got '{}'", name);
}

bool is_statistics_file(const fs::path& path) {
  return what_file_is_this(path).starts_with("an .npz") && NpzReader(path).has("mu") &&
         NpzReader(path).has("sigma");
}

/// A config.json of another program or class beside the file says nothing of it.
VaePlace place_beside(const fs::path& file) {
  try {
    return find_vae(file);
  } catch (const Error&) {
    return {.weights = file, .config = {}, .config_json = {}, .must_fit = false};
  }
}

void run_convert(const ConvertOptions& options, const CommonOptions& common) {
  const fs::path destination = options.destination;
  DIFFIT_CHECK(destination.extension() == ".safetensors", "{}: wanted a file name that ends in .safetensors",
               destination.string());
  check_output_file(destination, "destination");
  const std::optional<Dtype> dtype = dtype_named(common.dtype);
  const Average average = options.ema      ? Average::wanted
                          : options.no_ema ? Average::refused
                                           : Average::preferred;
  const fs::path given = model_path(options.source);
  DIFFIT_CHECK(!is_statistics_file(given),
               "{}: these are statistics of a feature network (mu, sigma), not weights; use them with eval "
               "directly, or read them with NumPy",
               given.string());
  // An autoencoder's folder, or a file with its config.json beside it.
  const bool folder = is_diffusers_folder(given);
  const VaePlace place = folder ? find_vae(given) : place_beside(given);
  const WeightsFile source(place.weights, average);
  DIFFIT_CHECK(
      average != Average::preferred || !source.metadata().contains(kStateKey),
      "{}: a training checkpoint holds the trained weights and their EMA; choose one with --no-ema or --ema",
      source.path().string());
  const std::optional<VaeConfig> vae =
      folder || looks_like_vae(source.tensors()) ? config_beside(place, source) : std::nullopt;
  const ConvertReport report = convert_model(source, destination, dtype, vae, options.null_row);
  print_result(common,
               {{"out", options.destination},
                {"from", source.kind()},
                {"tensors", report.tensors},
                {"bytes", report.bytes},
                {"config", report.config}},
               fmt::format("{}: {} tensors, {}, configuration {}", options.destination, report.tensors,
                           human_bytes(static_cast<double>(report.bytes)), report.config));
}

}  // namespace

void add_convert_command(CLI::App& app, CommonOptions& common) {
  auto o = std::make_shared<ConvertOptions>();
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
  command->callback([o, &common] { run_convert(*o, common); });
}

}  // namespace diffit::cli

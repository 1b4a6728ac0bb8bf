#include "diffit/ema.h"

#include "tools/diffit/command.h"

namespace diffit::cli {

namespace {

void print_ema(const EmaSpec& spec, const CommonOptions& common) {
  const EmaResult result = reconstruct_ema(spec);
  print_result(
      common,
      {{"out", spec.out},
       {"std", spec.std},
       {"images", result.images},
       {"snapshots", result.snapshots},
       {"profile_error", result.profile_error}},
      fmt::format(
          "{}: average of width {} at {} images from {} snapshots; error of its averaging profile {:.2g}",
          spec.out, spec.std, result.images, result.snapshots, result.profile_error));
}

}  // namespace

void add_ema_command(CLI::App& app, CommonOptions& common) {
  auto o = std::make_shared<EmaSpec>();
  CLI::App* command =
      add_command(app, common, "ema", "Reconstruct EMA weights of a chosen width after training");
  command->add_option("run", o->run, "run folder with snapshots of power-function averages")->required();
  command
      ->add_option("--std", o->std,
                   "relative width of the average to reconstruct, 0.01 to 0.25 of the length of the training")
      ->required()
      ->check(CLI::Range(0.001, 0.28));
  command->add_option(
      "--images", o->images,
      "number of training images at which the average ends; default that of the last snapshot");
  command->add_option("-o,--out", o->out, "the .safetensors model file to write")->required();
  command->footer(
      "\n"
      "EDM2's post-hoc EMA: each snapshot of ema-0.050 and ema-0.100 is a known average over time. A "
      "weighted sum\n"
      "of them approximates an average of any other width, so the width can be chosen after the training. "
      "Example:\n"
      "  diffit ema runs/mine --std 0.15 -o mine-0.15.safetensors");
  command->callback([o, &common] { print_ema(*o, common); });
}

}  // namespace diffit::cli

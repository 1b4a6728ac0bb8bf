#include "jobs/bench/bench.h"
#include "tools/diffit/progress.h"

namespace diffit::cli {

namespace {

void print_bench(const BenchSpec& spec, const CommonOptions& common) {
  TerminalMonitor monitor(common);
  const BenchFigures figures = run_bench(spec, common, monitor);
  print_result(common, figures.json, figures.text);
}

}  // namespace

void add_bench_command(CLI::App& app, CommonOptions& common) {
  auto o = std::make_shared<BenchSpec>();
  CLI::App* command =
      add_command(app, common, "bench", "Measure the speed of training, inference, metrics or kernels");
  command
      ->add_option(
          "config", o->config,
          "what to measure: a TOML file or preset, a model file or bundled model, a diffusers folder with an "
          "autoencoder; or `latent`: the released "
          "DiffiT-XL/2 at 256 with random weights; `scores`: metrics between the features of two sets of "
          "10,000 images; `features`: a feature network; `kernels`: each operation and its definition")
      ->required();
  command->add_option("--set", o->set, "override a key of the configuration, KEY=VALUE; may be repeated");
  command
      ->add_option("--what", o->what,
                   "the work to time. Models: train (one optimizer step) or forward (one evaluation). "
                   "Autoencoders: also encode, decode; for a file, forward does both and is the default. "
                   "`latent`: forward (default), attention, or matmul (the machine's rate on the model's "
                   "shapes). `scores`: precision-recall or frechet")
      ->capture_default_str();
  command->add_option("--depth", o->depth, "number of blocks of `latent`; default all")
      ->check(CLI::Range(0, 1024));
  command->add_option("--batch", o->batch,
                      "images per batch; default: the configuration's microbatch; `latent`: 2, one guided "
                      "image; `scores`: images per set");
  command
      ->add_option("--features", o->features,
                   "feature network for `features`: a file or the name of a bundled one")
      ->default_val("fashion-net");
  command
      ->add_option("--size", o->size,
                   "side of the images for `features` (default 32) and autoencoders (default 256; in "
                   "training data.size)")
      ->check(CLI::Range(1, 4096));
  command->add_option("--rounds", o->rounds, "number of measurements; the median is printed")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--seconds", o->seconds, "length of each measurement in seconds")
      ->check(CLI::Range(0.01, 600.0))
      ->capture_default_str();
  command->add_option(
      "--trace", o->trace,
      "write a trace of three more calls to this file, in Chrome's format (chrome://tracing), "
      "and list the time of each GPU kernel, or on the CPU of each operation; models only");
  command->callback([o, &common] { print_bench(*o, common); });
}

}  // namespace diffit::cli

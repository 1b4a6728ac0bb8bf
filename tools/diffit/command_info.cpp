#include "diffit/describe.h"

#include "tools/diffit/progress.h"

namespace diffit::cli {

namespace {

void print_description(const DescribeSpec& spec, const CommonOptions& common) {
  std::optional<TerminalMonitor> monitor(common);
  const DescribeResult result = describe(spec, common, *monitor);
  monitor.reset();
  print_result(common, Json::parse(result.json), result.text);
}

}  // namespace

void add_info_command(CLI::App& app, CommonOptions& common) {
  auto o = std::make_shared<DescribeSpec>();
  CLI::App* command =
      add_command(app, common, "info", "Describe a model, data set or image; without one, this installation");
  command->add_option(
      "what", o->what,
      "model file or autoencoder (.safetensors, *.index.json, .pt, .pth, .bin, .ckpt), bundled model, "
      "diffusers folder, statistics (.npz), data set (zip, IDX, CIFAR, folder) or image");
  command->add_flag("--classes", o->classes,
                    "list the labels and names of the model's classes, or of the table imagenet (default), "
                    "cifar10 or fashion-mnist");
  command->add_flag("--check", o->check, "read every weight of a model and print the loading time");
  command->callback([o, &common] { print_description(*o, common); });
}

}  // namespace diffit::cli

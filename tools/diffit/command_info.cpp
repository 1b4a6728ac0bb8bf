#include <ATen/Parallel.h>

#include "base/error.h"
#include "base/text.h"
#include "io/picture.h"
#include "kernels/ops.h"
#include "nn/cost.h"
#include "tools/diffit/machine.h"
#include "train/model_file.h"

namespace diffit {

namespace {

void describe_program(const CommonOptions& common) {
  const Json object = {{"version", DIFFIT_VERSION},        {"kernels", cpu_kernel_target()},
                       {"threads", at::get_num_threads()}, {"models", bundled_models()},
                       {"presets", preset_names()},        {"home", home().string()}};
  print_result(
      common, object,
      fmt::format(
          "diffit {}\nCPU kernels  {}, {} threads\nmodels       {}\npresets      {}\nhome         {}\n",
          DIFFIT_VERSION, cpu_kernel_target(), at::get_num_threads(), fmt::join(bundled_models(), ", "),
          fmt::join(preset_names(), ", "), home().string()));
}

void describe_model(const fs::path& path, const CommonOptions& common) {
  const WeightsFile file(path);
  const ModelConfig config = config_of(file);
  const std::vector<PartCost> parts = cost_of(config);
  const PartCost all = total(parts);
  Json metadata = Json::object();
  for (const auto& [key, value] : file.metadata()) {
    if (key != kConfigKey && key.starts_with("diffit.") && value.size() < 4096) metadata[key] = value;
  }
  const bool state = file.metadata().contains("diffit.state");
  const Json object = {{"path", path.string()},
                       {"kind", state ? "training state" : "model"},
                       {"config", write_model_config(config)},
                       {"parameters", all.parameters},
                       {"macs", all.layer_macs},
                       {"attention_macs", all.attention_macs},
                       {"tensors", file.tensors().size()},
                       {"metadata", metadata}};
  std::string text = fmt::format("{}{}\n{}\n", path.string(), state ? " (a training state)" : "",
                                 write_model_config(config).dump());
  text += fmt::format("{} parameters, {}MAC a forward (and {}MAC in attention's products)\n",
                      human_count(static_cast<double>(all.parameters)), human_count(all.layer_macs),
                      human_count(all.attention_macs));
  for (const PartCost& part : parts) {
    text += fmt::format("  {:<16} {:>10} parameters {:>10}MAC\n", part.part,
                        human_count(static_cast<double>(part.parameters)), human_count(part.layer_macs));
  }
  for (const auto& [key, value] : metadata.items())
    text += fmt::format("{} = {}\n", key, value.get<std::string>());
  print_result(common, object, text);
}

void describe_picture(const fs::path& path, const CommonOptions& common) {
  const Picture picture = read_picture(path);
  Json object = {{"path", path.string()},
                 {"width", picture.width},
                 {"height", picture.height},
                 {"channels", picture.channels}};
  std::string text = fmt::format("{}: {} x {}, {}\n", path.string(), picture.width, picture.height,
                                 picture.channels == 1 ? "grey" : "RGB");
  if (path.extension() == ".png") {
    for (const auto& [key, value] : read_png_text(path)) {
      const Json parsed = Json::parse(value, nullptr, /*allow_exceptions=*/false);
      object["text"][key] = parsed.is_discarded() ? Json(value) : parsed;
      text += fmt::format("{} = {}\n", key, value);
    }
  }
  print_result(common, object, text);
}

void run_info(const std::string& what, const CommonOptions& common) {
  if (what.empty()) {
    describe_program(common);
    return;
  }
  std::error_code none;
  const fs::path path(what);
  if (fs::is_regular_file(path, none) && is_picture_name(what)) {
    describe_picture(path, common);
  } else if (fs::exists(path, none) && path.extension() != ".safetensors") {
    print_data_info(common, what);
  } else {
    describe_model(model_path(what), common);
  }
}

}  // namespace

void add_info_command(CLI::App& app, CommonOptions& common) {
  auto what = std::make_shared<std::string>();
  CLI::App* command = add_command(app, common, "info",
                                  "What a model, data set or picture is; without one, what this program has");
  command->add_option("what", *what, "model file or bundled model, data (zip, IDX, CIFAR, folder), picture");
  command->callback([what, &common] { run_info(*what, common); });
}

}  // namespace diffit

#include <ATen/Parallel.h>

#include <chrono>

#include "base/bundled.h"
#include "base/cpu_count.h"
#include "base/error.h"
#include "base/printable.h"
#include "base/text.h"
#include "config/json_text.h"
#include "data/class_names.h"
#include "io/file_kind.h"
#include "io/images/image.h"
#include "io/tensors/safetensors.h"
#include "kernels/cuda_backend.h"
#include "kernels/ops.h"
#include "metrics/feature_network.h"
#include "metrics/reference.h"
#include "model/model_file.h"
#include "model/vae_file.h"
#include "nn/diffit/structure.h"
#include "runtime/device.h"
#include "runtime/gpu_probe.h"
#include "tools/diffit/command.h"
#include "tools/diffit/info_files.h"
#include "tools/diffit/info_network.h"

namespace diffit::cli {

namespace {

/// "2 processors", "8 processors by affinity, 1.5 by the control group's quota".
std::string describe(const CpuLimits& limits) {
  if (!limits.quota) return fmt::format("{} processors", limits.affinity);
  return fmt::format("{} processors by CPU affinity, {:.4g} by the cgroup quota", limits.affinity,
                     *limits.quota);
}

/// What --json says of the GPUs: "gpus", the newest CUDA that the driver supports, and why none is usable.
Json describe_gpus() {
  const GpuProbe& probe = probe_gpus();
  Json gpus = Json::array();
  for (const Gpu& gpu : probe.gpus) {
    gpus.push_back({{"name", gpu.name},
                    {"memory_bytes", gpu.memory_bytes},
                    {"compute_capability", fmt::format("{}.{}", gpu.major, gpu.minor)}});
  }
  Json object = {{"gpus", gpus}};
  if (probe.cuda_version > 0) object["driver_cuda"] = cuda_version_text(probe.cuda_version);
  if (!probe.reason.empty()) object["gpu_unusable"] = probe.reason;
  return object;
}

std::string gpu_text() {
  const GpuProbe& probe = probe_gpus();
  if (!probe.reason.empty()) return "none: " + probe.reason;
  std::string text;
  for (std::size_t i = 0; i < probe.gpus.size(); ++i) {
    const Gpu& gpu = probe.gpus[i];
    text += fmt::format("{}cuda:{} {}, {}, compute capability {}.{}", i == 0 ? "" : "; ", i, gpu.name,
                        human_bytes(static_cast<double>(gpu.memory_bytes)), gpu.major, gpu.minor);
  }
  return text + fmt::format("; the driver supports CUDA {}", cuda_version_text(probe.cuda_version));
}

void describe_program(const CommonOptions& common) {
  const Runtime machine = open_machine(common, /*prefer_bf16=*/false);
  const CpuLimits limits = cpu_limits();
  Json object = {{"version", DIFFIT_VERSION},
                 {"kernels", cpu_kernel_target()},
                 {"threads", at::get_num_threads()},
                 {"models", bundled_models()},
                 {"presets", preset_names()},
                 {"home", home().string()},
                 {"cpus", limits.count()},
                 {"cpu_affinity", limits.affinity},
                 {"cpu_quota", limits.quota ? Json(*limits.quota) : Json()},
                 {"device", machine.device.str()}};
  object.update(describe_gpus());
  if (machine.device.is_cuda()) object["cuda_kernels"] = has_cuda_kernels();
  if (const std::string note = open_device(common.device).note; !note.empty()) object["device_note"] = note;
  print_result(
      common, object,
      fmt::format(
          "diffit {}\nCPU kernels  {}, {} threads\nCPU          {}\nGPUs         {}\nmodels       {}\n"
          "presets      {}\nhome         {}\n",
          DIFFIT_VERSION, cpu_kernel_target(), at::get_num_threads(), describe(limits), gpu_text(),
          fmt::join(bundled_models(), ", "), fmt::join(preset_names(), ", "), home().string()));
}

struct InfoOptions {
  std::string what;
  bool classes = false, check = false;
};

/// How many tensors there are of each element type: "336 F32, 28 I64".
Json count_dtypes(const WeightsFile& file) {
  Json counts = Json::object();
  for (const TensorView& view : file.tensors()) {
    const std::string name(safetensors_name(view.dtype));
    counts[name] = counts.value(name, 0) + 1;
  }
  return counts;
}

std::string format_counts(const Json& counts) {
  std::string text;
  for (const auto& [name, count] : counts.items())
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count.get<int>(), name);
  return text;
}

Json describe_part(const PartCost& part) {
  return {{"part", part.part},
          {"parameters", part.parameters},
          {"macs", part.layer_macs},
          {"attention_macs", part.attention_macs}};
}

/// Reads every weight, as sampling would; seconds.
double time_loading(const WeightsFile& file) {
  const auto start = std::chrono::steady_clock::now();
  load_model(file, at::kCPU);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

bool states_diffusion_model(const WeightsFile& file) {
  const Json config = parse_json(file.metadata().at(kConfigKey), place_of_config(file));
  return config.is_object() &&
         (config.value("model", Json()) == "image" || config.value("model", Json()) == "latent");
}

/// The state of an autoencoder's or a classifier's training.
void describe_other_state(const WeightsFile& file, const CommonOptions& common) {
  const Json config = parse_json(file.metadata().at(kConfigKey), place_of_config(file));
  const Json dtypes = count_dtypes(file);
  print_result(common,
               {{"path", file.path().string()},
                {"kind", "training state"},
                {"file", file.kind()},
                {"config", config},
                {"config_from", "stated"},
                {"tensors", file.tensors().size()},
                {"dtypes", dtypes}},
               fmt::format("{}, a training state ({}; {})\n{} (stated)\n", file.path().string(), file.kind(),
                           format_counts(dtypes), printable(config.dump())));
}

void describe_model(const fs::path& path, const InfoOptions& options, const CommonOptions& common) {
  const WeightsFile file(path);
  const bool state = file.metadata().contains(kStateKey);
  const bool stated = file.metadata().contains(kConfigKey);
  if (!state && holds_feature_network(file)) return describe_feature_network(file, common);
  if (!state && (states_vae(file.metadata(), path.string()) || (!stated && looks_like_vae(file.tensors())))) {
    return describe_autoencoder(path, common);
  }
  if (state && stated && !states_diffusion_model(file)) return describe_other_state(file, common);
  const ModelConfig config = config_of(file);
  if (!state) check_model(file, config);
  const std::vector<PartCost> parts = cost_of(config);
  const PartCost all = total(parts);
  Json metadata = Json::object(), parts_json = Json::array();
  for (const auto& [key, value] : file.metadata()) {
    if (key != kConfigKey && key.starts_with("diffit.") && value.size() < 4096) metadata[key] = value;
  }
  for (const PartCost& part : parts) parts_json.push_back(describe_part(part));
  const char* origin = file.metadata().contains(kConfigKey) ? "stated" : "inferred";
  const Json dtypes = count_dtypes(file);
  Json object = {{"path", path.string()},  {"kind", state ? "training state" : "model"},
                 {"file", file.kind()},    {"config", write_model_config(config)},
                 {"config_from", origin},  {"parameters", all.parameters},
                 {"macs", all.layer_macs}, {"attention_macs", all.attention_macs},
                 {"parts", parts_json},    {"tensors", file.tensors().size()},
                 {"dtypes", dtypes},       {"metadata", metadata}};
  if (!file.wrapper().empty()) object["prefix"] = file.wrapper();
  std::string text =
      fmt::format("{}{} ({}; {})\n{} ({})\n", path.string(), state ? ", a training state" : "", file.kind(),
                  format_counts(dtypes), json_text(write_model_config(config)), origin);
  text +=
      fmt::format("{} parameters, {}MAC per forward pass (and {}MAC in the matrix products of attention)\n",
                  human_count(static_cast<double>(all.parameters)), human_count(all.layer_macs),
                  human_count(all.attention_macs));
  for (const PartCost& part : parts) {
    text += fmt::format("  {:<16} {:>10} parameters {:>10}MAC\n", part.part,
                        human_count(static_cast<double>(part.parameters)), human_count(part.layer_macs));
  }
  if (!file.wrapper().empty()) {
    text += fmt::format("the prefix '{}' is removed from every name\n", file.wrapper());
  }
  for (const auto& [key, value] : metadata.items())
    text += fmt::format("{} = {}\n", key, value.get<std::string>());
  if (options.check) {
    DIFFIT_CHECK(!state,
                 "{}: --check does not apply to a training checkpoint, which is checked when a training "
                 "resumes from it",
                 path.string());
    object["load_seconds"] = time_loading(file);
    text += fmt::format("all weights are finite; loaded in {}\n", human_seconds(object["load_seconds"]));
  }
  print_result(common, object, text);
}

std::int64_t classes_of(const ModelConfig& config) {
  return std::visit([](const auto& c) { return c.classes; }, config);
}

/// The classes of a model, or of a table by its name.
ClassNames named_classes(const std::string& what) {
  const fs::path folder = home() / "presets/classes";
  const fs::path table = folder / ((what.empty() ? "imagenet" : what) + ".txt");
  std::error_code none;
  if (what.find('/') == std::string::npos && fs::is_regular_file(table, none)) return read_class_names(table);
  const WeightsFile file(model_path(what));
  const std::int64_t classes = classes_of(config_of(file));
  DIFFIT_CHECK(classes > 0, "{}: the model is unconditional and has no classes", what);
  auto names = class_names_of(file.path(), file.metadata(), classes, folder);
  DIFFIT_CHECK(names, "{}: its {} classes have no names (metadata key {}, or a table in {})", what, classes,
               kClassNamesKey, folder.string());
  return *std::move(names);
}

void list_classes(const std::string& what, const CommonOptions& common) {
  const ClassNames names = named_classes(what);
  Json list = Json::array();
  std::string text;
  for (std::int64_t label = 0; label < names.size(); ++label) {
    list.push_back(names.all_names(label));
    text += fmt::format("{:>4}  {}\n", label, fmt::join(names.all_names(label), "; "));
  }
  print_result(common, {{"classes", list}}, text);
}

/// True for what is weights by its content, or claims to be by its name: the rest are data sets.
bool is_weights(const fs::path& path) {
  std::error_code none;
  if (fs::is_directory(path, none)) return false;
  const std::string what = what_file_is_this(path), extension = path.extension().string();
  return what == "a safetensors file" || what.starts_with("a torch.save file") ||
         extension == ".safetensors" || extension == ".pt" || extension == ".pth" || extension == ".ckpt" ||
         path.filename().string().ends_with(".index.json");
}

void describe_image(const fs::path& path, const CommonOptions& common) {
  const Image image = read_image(path);
  Json object = {{"path", path.string()},
                 {"width", image.width},
                 {"height", image.height},
                 {"channels", image.channels}};
  std::string text = fmt::format("{}: {} x {}, {}\n", path.string(), image.width, image.height,
                                 image.channels == 1 ? "grey" : "RGB");
  if (path.extension() == ".png") {
    for (const auto& [key, value] : read_png_text(path)) {
      const Json parsed = Json::parse(value, nullptr, /*allow_exceptions=*/false);
      object["text"][key] = parsed.is_discarded() ? Json(value) : parsed;
      text += fmt::format("{} = {}\n", key, value);
    }
  }
  print_result(common, object, text);
}

void run_info(const InfoOptions& options, const CommonOptions& common) {
  const std::string& what = options.what;
  std::error_code none;
  if (options.classes) {
    list_classes(what, common);
  } else if (what.empty()) {
    describe_program(common);
  } else if (fs::is_regular_file(what, none) && is_image_name(what)) {
    describe_image(what, common);
  } else if (is_diffusers_folder(what)) {
    describe_autoencoder(what, common);
  } else if (fs::is_regular_file(what, none) && fs::path(what).extension() == ".npz" && is_statistics(what)) {
    describe_statistics(what, common);
  } else if (fs::exists(what, none) && !is_weights(what)) {
    print_data_info(common, what);
  } else {
    describe_model(model_path(what), options, common);
  }
}

}  // namespace

void add_info_command(CLI::App& app, CommonOptions& common) {
  auto o = std::make_shared<InfoOptions>();
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
  command->callback([o, &common] { run_info(*o, common); });
}

}  // namespace diffit::cli

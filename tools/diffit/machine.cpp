#include "tools/diffit/machine.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "base/error.h"
#include "base/text.h"
#include "kernels/device.h"
#include "kernels/ops.h"

namespace diffit {

Machine open_machine(const CommonOptions& common, bool prefer_bf16) {
  if (common.threads > 0) at::set_num_threads(common.threads);
  const at::Device device = open_device(common.device);
  return {device, open_dtype(common.dtype, device, prefer_bf16)};
}

namespace {

std::string processor() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    if (const std::size_t colon = line.find(':');
        line.starts_with("model name") && colon != std::string::npos)
      return std::string(trim(std::string_view(line).substr(colon + 1)));
  }
  return "processor of unknown name";
}

}  // namespace

std::string describe(const Machine& machine) {
  const char* dtype = machine.dtype == at::kFloat ? "f32" : "bf16";
  std::string text = fmt::format("{}, {} threads, {} kernels, {}", processor(), at::get_num_threads(),
                                 cpu_kernel_target(), dtype);
  if (!machine.device.is_cpu()) text += fmt::format(", on {}", machine.device.str());
  return text;
}

fs::path home() {
  if (const char* given = std::getenv("DIFFIT_HOME"); given != nullptr) return given;
  std::error_code none;
  for (fs::path at = fs::read_symlink("/proc/self/exe", none).parent_path(); at.has_relative_path();
       at = at.parent_path()) {
    for (const fs::path& place : {at, at / "share/diffit"}) {
      if (fs::is_directory(place / "presets", none)) return place;
    }
  }
  return ".";
}

std::vector<std::string> stems(const fs::path& folder, const std::string& extension) {
  std::vector<std::string> names;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    if (entry.path().extension() == extension) names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

fs::path find_file(const std::string& given, const char* what, const fs::path& folder,
                   const std::string& extension) {
  std::error_code none;
  if (fs::exists(given, none)) return given;
  const std::vector<std::string> names = stems(folder, extension);
  if (std::find(names.begin(), names.end(), given) != names.end()) return folder / (given + extension);
  reject("{} '{}': no such file, and no bundled one of that name{}; there are: {}", what, given,
         did_you_mean(given, names), names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")));
}

std::vector<std::string> preset_names() {
  return stems(home() / "presets", ".toml");
}
std::vector<std::string> bundled_models() {
  return stems(home() / "models", ".safetensors");
}
fs::path model_path(const std::string& model) {
  return find_file(model, "model", home() / "models", ".safetensors");
}
fs::path preset_path(const std::string& config) {
  return find_file(config, "config", home() / "presets", ".toml");
}

}  // namespace diffit

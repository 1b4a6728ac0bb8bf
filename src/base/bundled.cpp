#include "base/bundled.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "base/text.h"

namespace diffit::base {

namespace {

fs::path& chosen_home() {
  static fs::path path;
  return path;
}

/// The file that holds this code: the program or the shared library.
fs::path this_file() {
  Dl_info info{};
  std::error_code none;
  if (dladdr(reinterpret_cast<const void*>(&this_file), &info) == 0 || info.dli_fname == nullptr) return {};
  // A program's name is as it was typed; its real place is what the system says.
  fs::path path = fs::canonical(info.dli_fname, none);
  return path.extension() != ".so" && path.string().find(".so.") == std::string::npos
             ? fs::read_symlink("/proc/self/exe", none)
             : path;
}

}  // namespace

void set_home(const fs::path& path) {
  chosen_home() = path;
}

fs::path home() {
  if (!chosen_home().empty()) return chosen_home();
  if (const char* given = std::getenv("DIFFIT_HOME"); given != nullptr) return given;
  std::error_code none;
  for (fs::path at = this_file().parent_path(); at.has_relative_path(); at = at.parent_path()) {
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
  const bool exists = fs::exists(given, none);
  if (exists && !fs::is_directory(given, none)) return given;
  const std::vector<std::string> names = stems(folder, extension);
  if (std::find(names.begin(), names.end(), given) != names.end()) return folder / (given + extension);
  if (exists) return given;  // a folder, which its reader refuses in its own words
  reject("{} '{}': no such file, and nothing bundled has that name{}; available: {}", what, given,
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
std::vector<std::string> experiment_names() {
  return stems(home() / "presets/experiments", ".toml");
}
fs::path experiment_path(const std::string& experiment) {
  return find_file(experiment, "experiment", home() / "presets/experiments", ".toml");
}

}  // namespace diffit::base

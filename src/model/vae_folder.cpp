#include "model/vae_folder.h"

#include <algorithm>

#include "base/error.h"
#include "base/printable.h"
#include "io/file_kind.h"
#include "nn/vae/diffusers_config.h"

namespace diffit::model {

namespace {

constexpr std::uint64_t kLargestConfig = 1 << 20;
constexpr std::string_view kStem = "diffusion_pytorch_model";

bool is_file(const fs::path& path) {
  std::error_code none;
  return fs::is_regular_file(path, none);
}
bool is_folder(const fs::path& path) {
  std::error_code none;
  return fs::is_directory(path, none);
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    names.push_back(at->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// Whole precision before variants, safetensors before torch's; "" where there are no weights.
std::string weights_in(const fs::path& folder) {
  const std::vector<std::string> names = names_in(folder);
  for (const char* ending : {".safetensors", ".safetensors.index.json", ".bin", ".fp16.safetensors",
                             ".fp16.safetensors.index.json", ".bf16.safetensors", ".fp16.bin", ".bf16.bin"}) {
    const std::string name = std::string(kStem) + ending;
    if (std::find(names.begin(), names.end(), name) != names.end()) return name;
  }
  std::vector<std::string> others;
  for (const std::string& name : names) {
    const bool shard = name.find("-of-") != std::string::npos;
    if (!shard && (name.ends_with(".safetensors") || name.ends_with(".bin") || name.ends_with(".pt") ||
                   name.ends_with(".pth") || name.ends_with(".ckpt"))) {
      others.push_back(name);
    }
  }
  DIFFIT_CHECK(others.size() <= 1, "{}: there is no {}.safetensors, but {}: give one of these files",
               folder.string(), kStem, fmt::join(others, ", "));
  return others.empty() ? "" : others.front();
}

/// Error(invalid) names what else it is than JSON, a git-lfs pointer say.
Json read_config(const fs::path& path) {
  const std::string what = what_file_is_this(path);
  DIFFIT_CHECK(what.empty() || what == "a JSON file" || what.find("error response") != std::string::npos,
               "{}: wanted a diffusers config.json, got {}", path.string(), what);
  return parse_json(read_text(path, kLargestConfig), path.string());
}

/// The folder of the Hugging Face cache that holds the files: models--A--B/snapshots/HASH.
fs::path inside_cache(const fs::path& folder) {
  const fs::path snapshots = folder / "snapshots";
  if (!is_folder(snapshots) || is_file(folder / "config.json")) return folder;
  const std::vector<std::string> names = names_in(snapshots);
  DIFFIT_CHECK(names.size() == 1, "{}: contains several autoencoders, {}: give one of these folders",
               snapshots.string(), names.size());
  return snapshots / names.front();
}

VaePlace in_folder(const fs::path& given) {
  fs::path folder = inside_cache(given);
  if (!is_file(folder / "config.json") && is_folder(folder / "vae")) folder /= "vae";
  const fs::path config = folder / "config.json";
  DIFFIT_CHECK(is_file(config), "{}: wanted a diffusers folder, but it contains no config.json{}",
               folder.string(),
               is_file(folder / "model_index.json") ? " or folder vae" : "; give the file of the weights");
  VaePlace place{.weights = {}, .config = config, .config_json = read_config(config), .must_fit = true};
  const std::string kind = diffusers_class(*place.config_json);
  DIFFIT_CHECK(kind == "AutoencoderKL", "{}: wanted an autoencoder (AutoencoderKL), but _class_name is {}",
               config.string(), kind.empty() ? "missing" : printable(kind));
  const std::string weights = weights_in(folder);
  DIFFIT_CHECK(!weights.empty(), "{}: wanted {}.safetensors or .bin next to config.json, found neither",
               folder.string(), kStem);
  place.weights = folder / weights;
  return place;
}

}  // namespace

bool is_diffusers_folder(const fs::path& folder) {
  if (!is_folder(folder)) return false;
  if (is_file(folder / "model_index.json") || is_file(folder / "vae/config.json")) return true;
  if (folder.filename().string().starts_with("models--") && is_folder(folder / "snapshots")) return true;
  if (!is_file(folder / "config.json")) return false;
  try {
    return !diffusers_class(read_config(folder / "config.json")).empty();
  } catch (const Error&) {
    return false;
  }
}

VaePlace find_vae(const fs::path& given) {
  if (is_folder(given)) return in_folder(given);
  VaePlace place{.weights = given, .config = {}, .config_json = {}, .must_fit = false};
  const fs::path beside = given.parent_path() / "config.json";
  if (!is_file(beside)) return place;
  const bool by_diffusers = given.filename().string().starts_with(kStem);
  Json config;
  try {
    config = read_config(beside);
  } catch (const Error&) {
    if (by_diffusers) throw;
    return place;  // another program's
  }
  const std::string kind = diffusers_class(config);
  DIFFIT_CHECK(!by_diffusers || kind.empty() || kind == "AutoencoderKL",
               "{}: wanted an autoencoder (AutoencoderKL), but _class_name in its config.json is {}",
               given.string(), printable(kind));
  if (kind != "AutoencoderKL") return place;
  place.config = beside;
  place.config_json = std::move(config);
  place.must_fit = by_diffusers;
  return place;
}

}  // namespace diffit::model

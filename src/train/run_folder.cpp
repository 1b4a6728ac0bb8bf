#include "train/run_folder.h"

#include <zlib.h>

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "config/json_text.h"
#include "model/model_file.h"

namespace diffit::training {

namespace {

/// Of names and bytes, by name, whatever their order in the file.
std::uint32_t checksum(std::vector<TensorView> tensors) {
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  uLong crc = crc32_z(0, nullptr, 0);
  for (const TensorView& view : tensors) {
    crc = crc32_z(crc, reinterpret_cast<const Bytef*>(view.name.data()), view.name.size());
    crc = crc32_z(crc, reinterpret_cast<const Bytef*>(view.bytes.data()), view.bytes.size());
  }
  return static_cast<std::uint32_t>(crc);
}

/// Of everything that a state says: the texts of its metadata as they are, names, types and shapes.
std::uint32_t seal(const std::string& state, const std::string& config, std::vector<TensorView> tensors) {
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  std::string text = state + "\n" + config + "\n";
  for (const TensorView& view : tensors) {
    text += fmt::format("{} {} [{}]\n", view.name, safetensors_name(view.dtype), fmt::join(view.shape, ","));
  }
  return static_cast<std::uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(text.data()), text.size()));
}

constexpr const char* kSealKey = "diffit.state_crc32";

std::string text_of(const Metadata& metadata, const char* key) {
  const auto found = metadata.find(key);
  return found == metadata.end() ? std::string() : found->second;
}

/// Number in "state-000012800.safetensors", or -1.
std::int64_t images_of_state(const std::string& name) {
  constexpr std::string_view prefix = "state-", suffix = ".safetensors";
  if (!name.starts_with(prefix) || !name.ends_with(suffix) || name.size() <= prefix.size() + suffix.size())
    return -1;
  const std::string digits = name.substr(prefix.size(), name.size() - prefix.size() - suffix.size());
  const bool number = digits.size() <= 18 &&
                      std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
  return number ? std::stoll(digits) : -1;
}

void flatten(const Json& value, const std::string& path, std::map<std::string, std::string>& out) {
  if (!value.is_object()) {
    out[path] = json_text(value);
    return;
  }
  for (const auto& [key, inner] : value.items()) flatten(inner, path.empty() ? key : path + "." + key, out);
}

void check_same_recipe(const Json& then, const Json& now, const std::string& where) {
  std::map<std::string, std::string> before, after;
  // Read and written again: keys that there were not yet have their defaults.
  flatten(write_recipe(read_recipe(then, where + ": recipe")), "", before);
  flatten(now, "", after);
  // A key may be missing on either side: fields of variants are written only where they are not the usual.
  for (const auto* side : {&after, &before}) {
    for (const auto& [key, value] : *side) {
      if (may_change_on_resume(key)) continue;
      const auto value_in = [&key = key](const auto& recipe) {
        const auto found = recipe.find(key);
        return found == recipe.end() ? std::string("(none)") : found->second;
      };
      DIFFIT_CHECK(value_in(before) == value_in(after),
                   "{}: the run was trained with {} = {}, but now it is {}; resume with the same value, or "
                   "start another run with `out`",
                   where, key, value_in(before), value_in(after));
    }
  }
}

struct State {
  Json progress;
  Json recipe, counters;
  SafetensorsFile file;
};

/// Opens a state and proves it whole. Error(invalid) otherwise.
State open_state(const fs::path& path) {
  SafetensorsFile file(path);
  const std::string where = path.string();
  const auto found = file.metadata().find(kStateKey);
  DIFFIT_CHECK(found != file.metadata().end(), "{}: not a training checkpoint (no metadata key {})", where,
               kStateKey);
  const std::string stated = text_of(file.metadata(), kSealKey);
  const std::string wanted =
      fmt::format("{:08x}", seal(found->second, text_of(file.metadata(), kConfigKey), file.tensors()));
  DIFFIT_CHECK(stated.empty() || stated == wanted,
               "{}: damaged: the checksum of its counters is {}, wanted {}", where, stated, wanted);
  Json state = parse_json(found->second, where + ": " + kStateKey);
  // States of earlier versions have no such checksum, and do not say that they have.
  DIFFIT_CHECK(!stated.empty() || !state.is_object() || !state.contains("sealed"),
               "{}: damaged: the checksum of its counters is missing", where);
  for (const char* key : {"recipe", "counters", "progress", "crc32"}) {
    DIFFIT_CHECK(state.is_object() && state.contains(key), "{}: the checkpoint has no tensor '{}'", where,
                 key);
  }
  const std::uint32_t crc = checksum(file.tensors());
  DIFFIT_CHECK(state["crc32"] == crc, "{}: damaged: its checksum is {}, wanted {}", where, crc,
               json_text(state["crc32"]));
  return {state["progress"], state["recipe"], state["counters"], std::move(file)};
}

void restore(const State& state, Trainer& trainer) {
  const at::NoGradGuard no_grad;
  const std::string where = state.file.path().string();
  for (const auto& [name, tensor] : trainer.tensors()) {
    const TensorView& view = state.file.at(name);
    DIFFIT_CHECK(
        at::IntArrayRef(view.shape) == tensor.sizes() && scalar_type(view.dtype) == tensor.scalar_type(),
        "{}: {} has shape [{}], wanted [{}]", where, name, fmt::join(view.shape, ", "),
        fmt::join(tensor.sizes(), ", "));
    at::Tensor target = tensor;
    target.copy_(to_tensor(view));
  }
  trainer.restore_counters(state.counters, where);
}

}  // namespace

fs::path RunFolder::samples(std::int64_t images) const {
  return path_ / fmt::format("samples-{:09}.png", images);
}

fs::path RunFolder::snapshot(std::int64_t images, const std::string& average) const {
  return path_ / fmt::format("snapshot-{:09}{}{}.safetensors", images, average.empty() ? "" : "-", average);
}

fs::path RunFolder::state(std::int64_t images) const {
  return path_ / fmt::format("state-{:09}.safetensors", images);
}

std::vector<std::int64_t> RunFolder::states() const {
  std::vector<std::int64_t> counts;
  std::error_code gone;
  for (const auto& entry : fs::directory_iterator(path_, gone)) {
    const std::int64_t images = images_of_state(entry.path().filename().string());
    if (images >= 0) counts.push_back(images);
  }
  std::sort(counts.rbegin(), counts.rend());
  return counts;
}

bool RunFolder::used() const {
  std::error_code none;
  return fs::exists(config(), none) || !states().empty();
}

void save_state(const RunFolder& folder, const Trainer& trainer, const Recipe& recipe, const Json& progress,
                std::int64_t keep) {
  const fs::path path = folder.state(trainer.images());
  std::vector<std::pair<std::string, at::Tensor>> tensors = trainer.all_tensors();
  if (!trainer.leads()) return;
  std::vector<TensorView> views;
  for (auto& [name, tensor] : tensors) {
    tensor = tensor.to(at::kCPU).contiguous();
    if (tensor.is_floating_point() && !at::isfinite(tensor).all().item<bool>()) {
      fail("{}: not written: {} contains values that are not finite", path.string(), name);
    }
    views.push_back(view_of(name, tensor));
  }
  const Json state = {{"recipe", write_recipe(recipe)},
                      {"counters", trainer.counters()},
                      {"progress", progress},
                      {"crc32", checksum(views)},
                      {"sealed", true}};
  const std::string text = json_text(state), config = json_text(recipe.model);
  write_safetensors(path, views,
                    {{kStateKey, text},
                     {kConfigKey, config},
                     {kSealKey, fmt::format("{:08x}", seal(text, config, views))}});
  const std::vector<std::int64_t> all = folder.states();
  for (std::size_t i = static_cast<std::size_t>(keep); i < all.size(); ++i) {
    std::error_code gone;
    fs::remove(folder.state(all[i]), gone);
  }
}

Json load_newest_state(const RunFolder& folder, Trainer& trainer, const Recipe& recipe,
                       std::vector<std::string>& warnings) {
  const std::vector<std::int64_t> counts = folder.states();
  for (const std::int64_t images : counts) {
    std::optional<State> state;
    try {
      state.emplace(open_state(folder.state(images)));
    } catch (const Error& error) {
      warnings.emplace_back(error.what());
      continue;
    }
    check_same_recipe(state->recipe, write_recipe(recipe), folder.state(images).string());
    restore(*state, trainer);
    return state->progress;
  }
  DIFFIT_CHECK(counts.empty(), "{}: wanted a complete checkpoint to resume from, but all {} are damaged: {}",
               folder.path().string(), counts.size(), warnings.front());
  return {};
}

}  // namespace diffit::training

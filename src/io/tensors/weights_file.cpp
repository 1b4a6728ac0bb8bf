#include "io/tensors/weights_file.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/error.h"
#include "base/printable.h"
#include "io/file_kind.h"
#include "io/tensors/sharded.h"
#include "io/tensors/torch_file.h"
#include "io/tensors/wrapped_names.h"

namespace diffit::io {

struct WeightsFile::Source {
  std::vector<SafetensorsFile> safetensors;
  std::optional<TorchFile> torch;
};

namespace {

enum class Kind { safetensors, index, torch };

/// "; give one of its files: a.safetensors, b.safetensors", the newest names last.
std::string what_to_take_of(const fs::path& folder) {
  constexpr std::size_t kShown = 4;
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    const bool weights = name.ends_with(".safetensors") && !name.starts_with("state-");
    if (weights || name.ends_with(".pt") || name.ends_with(".pth") || name.ends_with(".bin"))
      names.push_back(name);
  }
  if (names.empty()) return "";
  std::sort(names.begin(), names.end());
  const std::size_t first = names.size() - std::min(names.size(), kShown);
  std::string text = "; give one of its files: ";
  for (std::size_t i = first; i < names.size(); ++i) text += (i > first ? ", " : "") + printable(names[i]);
  return first > 0 ? text + fmt::format(" (and {} earlier ones)", first) : text;
}

bool begins_as_safetensors(std::span<const std::byte> start) {
  std::uint64_t length = 0;
  if (start.size() < 10) return false;
  std::memcpy(&length, start.data(), sizeof(length));
  return length <= std::uint64_t{100'000'000} && start[8] == std::byte{'{'};
}

/// Told by content. Error(invalid) names what else it is.
Kind kind_of(const fs::path& path) {
  constexpr std::string_view kWanted = "wanted weights (.safetensors, its index, or a torch.save file)";
  std::error_code none;
  DIFFIT_CHECK(!fs::is_directory(path, none), "{}: {}, got a folder{}", path.string(), kWanted,
               what_to_take_of(path));
  const MappedFile file(path);
  const auto start = file.bytes().first(std::min<std::size_t>(file.bytes().size(), kBytesThatTell));
  if (begins_as_safetensors(start)) return Kind::safetensors;
  const std::string what = what_file_is_this(start, file.bytes().size());
  const bool pointer = what.starts_with("a git") || what.starts_with("a web page");
  if (path.filename().string().ends_with(".index.json") && !pointer) return Kind::index;
  if (begins_as_torch_file(start)) return Kind::torch;
  if (what == "a JSON file") return Kind::index;
  DIFFIT_CHECK(what.empty() || start.size() < 8, "{}: {}, got {}", path.string(), kWanted, what);
  return Kind::safetensors;  // whose reader says what is wrong with it
}

/// The set of a training state that is wanted, without its prefix.
std::vector<TensorView> choose_of_state(const std::vector<TensorView>& all, Average average,
                                        const std::string& where) {
  const std::string prefix = average == Average::wanted ? "ema." : "weights.";
  std::vector<TensorView> chosen;
  for (const TensorView& view : all) {
    if (!view.name.starts_with(prefix)) continue;
    chosen.push_back(view);
    chosen.back().name.erase(0, prefix.size());
  }
  DIFFIT_CHECK(!chosen.empty(), "{}: wanted tensors named {}NAME in this training checkpoint, found none",
               where, prefix);
  return chosen;
}

}  // namespace

WeightsFile::WeightsFile(const fs::path& path, Average average)
    : path_(path), source_(std::make_unique<Source>()) {
  const std::string where = path.string();
  std::vector<TensorView> tensors;
  switch (kind_of(path)) {
    case Kind::safetensors: {
      const SafetensorsFile& file = source_->safetensors.emplace_back(path);
      tensors = file.tensors();
      metadata_ = file.metadata();
      kind_ = "safetensors";
      break;
    }
    case Kind::index: {
      ShardedSet set = open_sharded(path);
      kind_ = fmt::format("safetensors in {} files", set.files.size());
      source_->safetensors = std::move(set.files);
      tensors = std::move(set.tensors);
      metadata_ = std::move(set.metadata);
      break;
    }
    case Kind::torch:
      tensors = source_->torch.emplace(path, average).tensors();
      kind_ = "torch";
      break;
  }
  const bool state = metadata_.contains("diffit.state");
  const TakenOff taken = state ? TakenOff() : take_off_wrappers(tensors, average);
  wrapper_ = taken.wrapper;
  DIFFIT_CHECK(average != Average::refused || !taken.average,
               "{}: contains only EMA weights (names begin with '{}'); try without `no_ema`", where,
               wrapper_);
  if (average != Average::preferred && kind_ != "torch" && !taken.average) {
    DIFFIT_CHECK(state || average != Average::wanted,
                 "{}: contains only one set of weights and no EMA weights; try without `ema`", where);
    if (state) tensors = choose_of_state(tensors, average, where);
  }
  table_ = TensorTable(std::move(tensors), where);
}

void WeightsFile::done_with(const TensorView& view) const {
  for (const SafetensorsFile& file : source_->safetensors) file.done_with(view);
  if (source_->torch) source_->torch->done_with(view);
}

WeightsFile::~WeightsFile() = default;
WeightsFile::WeightsFile(WeightsFile&&) noexcept = default;

}  // namespace diffit::io

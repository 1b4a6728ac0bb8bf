#include "io/weights_file.h"

#include <optional>

#include "base/error.h"
#include "io/sharded.h"
#include "io/torch_file.h"

namespace diffit {

struct WeightsFile::Source {
  std::vector<SafetensorsFile> safetensors;
  std::optional<TorchFile> torch;
};

namespace {

enum class Kind { safetensors, index, torch };

/// A safetensors file begins with the length of its header, at most 100,000,000, so that its fifth to eighth
/// byte are 0, which no text holds.
Kind kind_of(const fs::path& path) {
  const MappedFile file(path);
  const auto start = file.bytes().first(std::min<std::size_t>(file.bytes().size(), 16));
  if (path.filename().string().ends_with(".index.json")) return Kind::index;
  if (begins_as_torch_file(start)) return Kind::torch;
  const std::string_view text(reinterpret_cast<const char*>(start.data()),
                              std::min<std::size_t>(start.size(), 8));
  const bool index = text.starts_with('{') && text.find('\0') == std::string_view::npos;
  return index ? Kind::index : Kind::safetensors;
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
  DIFFIT_CHECK(!chosen.empty(), "{}: wanted tensors named {}NAME in this training state, got none", where,
               prefix);
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
  if (average != Average::preferred && kind_ != "torch") {
    const bool state = metadata_.contains("diffit.state");
    DIFFIT_CHECK(state || average != Average::wanted,
                 "{}: holds one set of weights, no average beside; try without --ema", where);
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

}  // namespace diffit

#include "io/weights_file.h"

#include "base/error.h"
#include "io/sharded.h"

namespace diffit {

struct WeightsFile::Source {
  std::vector<SafetensorsFile> safetensors;
};

namespace {

enum class Kind { safetensors, index };

/// A safetensors file begins with the length of its header, at most 100,000,000, so that its fifth to eighth
/// byte are 0, which no text holds.
Kind kind_of(const fs::path& path) {
  const MappedFile file(path);
  const std::string_view start(reinterpret_cast<const char*>(file.bytes().data()),
                               std::min<std::size_t>(file.bytes().size(), 8));
  const bool text = start.find('\0') == std::string_view::npos;
  const bool named_index = path.filename().string().ends_with(".index.json");
  return named_index || (text && start.starts_with('{')) ? Kind::index : Kind::safetensors;
}

}  // namespace

WeightsFile::WeightsFile(const fs::path& path) : path_(path), source_(std::make_unique<Source>()) {
  switch (kind_of(path)) {
    case Kind::safetensors: {
      const SafetensorsFile& file = source_->safetensors.emplace_back(path);
      table_ = TensorTable(file.tensors(), path.string());
      metadata_ = file.metadata();
      kind_ = "safetensors";
      break;
    }
    case Kind::index: {
      ShardedSet set = open_sharded(path);
      kind_ = fmt::format("safetensors in {} files", set.files.size());
      source_->safetensors = std::move(set.files);
      table_ = TensorTable(std::move(set.tensors), path.string());
      metadata_ = std::move(set.metadata);
      break;
    }
  }
}

WeightsFile::~WeightsFile() = default;
WeightsFile::WeightsFile(WeightsFile&&) noexcept = default;

}  // namespace diffit

#include "tools/diffit/sample_output.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "diffusion/pictures.h"
#include "io/npz.h"
#include "io/safetensors.h"
#include "nn/state.h"

namespace diffit {

namespace {

Json with_seed(const Json& made_by, const ImageRequest& request, std::size_t i) {
  Json object = made_by;
  object["seeds"] = Json::array({request.seeds[i]});
  if (!request.labels.empty()) object["classes"] = Json::array({request.labels[i]});
  return object;
}

Json with_seeds(const Json& made_by, const ImageRequest& request) {
  Json object = made_by;
  object["seeds"] = request.seeds;
  if (!request.labels.empty()) object["classes"] = request.labels;
  return object;
}

PngText png_text(const Json& made_by) {
  return {{"Software", "diffit"}, {"diffit", made_by.dump()}};
}

class GridOutput : public SampleOutput {
 public:
  GridOutput(fs::path path, const Json& made_by, std::int64_t columns)
      : path_(std::move(path)), text_(png_text(made_by)), columns_(columns) {}
  void add(std::int64_t, const at::Tensor& samples) override {
    for (Picture& picture : to_pictures(samples)) pictures_.push_back(std::move(picture));
  }
  void finish() override {
    write_png(path_, pictures_.size() == 1 ? pictures_[0] : grid(pictures_, columns_), text_);
  }

 private:
  fs::path path_;
  PngText text_;
  std::int64_t columns_;
  std::vector<Picture> pictures_;
};

class FolderOutput : public SampleOutput {
 public:
  FolderOutput(fs::path path, const ImageRequest& request, const Json& made_by)
      : path_(std::move(path)), request_(request), made_by_(made_by) {
    std::error_code error;
    fs::create_directories(path_, error);
    if (error) fail("{}: cannot be made: {}", path_.string(), error.message());
  }
  void add(std::int64_t first, const at::Tensor& samples) override {
    auto i = static_cast<std::size_t>(first);
    for (const Picture& picture : to_pictures(samples)) {
      write_png(path_ / name(i), picture, png_text(with_seed(made_by_, request_, i)));
      ++i;
    }
  }
  void finish() override {}

 private:
  /// The seed; where one seed is used for several pictures, the number of the picture too.
  std::string name(std::size_t i) const {
    const auto& seeds = request_.seeds;
    const bool repeated = std::count(seeds.begin(), seeds.end(), seeds[i]) > 1;
    return repeated ? fmt::format("{:06}-{}.png", seeds[i], i) : fmt::format("{:06}.png", seeds[i]);
  }
  fs::path path_;
  const ImageRequest& request_;
  Json made_by_;
};

class NpzOutput : public SampleOutput {
 public:
  NpzOutput(const fs::path& path, const ImageRequest& request, const ImageConfig& config)
      : request_(request), writer_(path) {
    const std::int64_t shape[] = {static_cast<std::int64_t>(request.seeds.size()), config.resolution,
                                  config.resolution, config.in_channels};
    writer_.begin("arr_0", Dtype::u8, shape);
  }
  void add(std::int64_t, const at::Tensor& samples) override {
    for (const Picture& picture : to_pictures(samples))
      writer_.write(std::as_bytes(std::span(picture.pixels)));
  }
  void finish() override {
    writer_.end();
    if (!request_.labels.empty()) {
      const std::int64_t shape[] = {static_cast<std::int64_t>(request_.labels.size())};
      writer_.add("arr_1", Dtype::i64, shape, std::as_bytes(std::span(request_.labels)));
    }
    writer_.finish();
  }

 private:
  const ImageRequest& request_;
  NpzWriter writer_;
};

class SafetensorsOutput : public SampleOutput {
 public:
  SafetensorsOutput(fs::path path, const Json& made_by) : path_(std::move(path)), made_by_(made_by) {}
  void add(std::int64_t, const at::Tensor& samples) override { samples_.push_back(samples); }
  void finish() override {
    const at::Tensor all = at::cat(samples_).contiguous();
    const TensorView views[] = {view_of("samples", all)};
    write_safetensors(path_, views, {{"diffit.made_by", made_by_.dump()}});
  }

 private:
  fs::path path_;
  Json made_by_;
  std::vector<at::Tensor> samples_;
};

}  // namespace

std::unique_ptr<SampleOutput> open_sample_output(const fs::path& path, const ImageRequest& request,
                                                 const ImageConfig& config, const Json& made_by,
                                                 std::int64_t columns) {
  const std::string extension = path.extension().string();
  std::error_code none;
  const Json all = with_seeds(made_by, request);
  if (!path.has_filename() || extension.empty() || fs::is_directory(path, none)) {
    DIFFIT_CHECK(!path.empty(), "-o: wanted a path");
    return std::make_unique<FolderOutput>(path, request, made_by);
  }
  const fs::path parent = path.parent_path();
  DIFFIT_CHECK(parent.empty() || fs::is_directory(parent, none), "-o {}: there is no folder {}",
               path.string(), parent.string());
  if (extension == ".png") return std::make_unique<GridOutput>(path, all, columns);
  if (extension == ".npz") return std::make_unique<NpzOutput>(path, request, config);
  if (extension == ".safetensors") return std::make_unique<SafetensorsOutput>(path, all);
  reject("-o {}: wanted .png, .npz, .safetensors or a folder (dir/), got {}", path.string(), extension);
}

}  // namespace diffit

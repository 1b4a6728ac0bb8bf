#include "jobs/vae_images.h"

#include <cstring>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/lock.h"
#include "base/output_check.h"
#include "config/json_text.h"
#include "data/source.h"
#include "io/tensors/npz.h"
#include "io/tensors/safetensors.h"
#include "jobs/image_output_path.h"
#include "jobs/unfinished.h"
#include "nn/layers/weights_io.h"

namespace diffit::jobs {

namespace {

using ImageSink = std::function<void(const std::string&, const at::Tensor&)>;

/// uint8 [H, W, C] -> [C, H, W] in [-1, 1].
at::Tensor to_tensor_of(const std::uint8_t* pixels, std::int64_t height, std::int64_t width,
                        std::int64_t channels) {
  const at::Tensor bytes = at::empty({height, width, channels}, at::kByte);
  std::memcpy(bytes.mutable_data_ptr(), pixels, static_cast<std::size_t>(bytes.numel()));
  return bytes.permute({2, 0, 1}).to(at::kFloat).div_(127.5).sub_(1).contiguous();
}

at::Tensor to_tensor_of(const Image& image) {
  return to_tensor_of(image.pixels.data(), image.height, image.width, image.channels);
}

class OneImage : public ImageInput {
 public:
  explicit OneImage(fs::path path) : path_(std::move(path)) {}
  std::int64_t size() const override { return 1; }
  void read(const ImageSink& sink) const override { sink(path_.string(), to_tensor_of(read_image(path_))); }

 private:
  fs::path path_;
};

class SourceInput : public ImageInput {
 public:
  explicit SourceInput(std::unique_ptr<ImageSource> source) : source_(std::move(source)) {}
  std::int64_t size() const override { return source_->size(); }
  void read(const ImageSink& sink) const override {
    for (std::int64_t i = 0; i < size(); ++i) sink(source_->name(i), to_tensor_of(source_->read(i)));
  }

 private:
  std::unique_ptr<ImageSource> source_;
};

class NpzInput : public ImageInput {
 public:
  explicit NpzInput(const fs::path& path) : file_(path) {
    DIFFIT_CHECK(file_.has("arr_0"), "{}: wanted an array arr_0, got {}", path.string(),
                 file_.names().empty() ? "none" : fmt::format("{}", fmt::join(file_.names(), ", ")));
    shape_ = file_.header("arr_0").shape;
    const bool fits = file_.header("arr_0").dtype == Dtype::u8 && shape_.size() == 4 && shape_[0] > 0 &&
                      shape_[1] > 0 && shape_[2] > 0 && (shape_[3] == 1 || shape_[3] == 3);
    DIFFIT_CHECK(fits, "{}: arr_0: wanted uint8 [N, H, W, C] with 1 or 3 channels, got {} [{}]",
                 path.string(), safetensors_name(file_.header("arr_0").dtype), fmt::join(shape_, ", "));
  }
  std::int64_t size() const override { return shape_[0]; }
  void read(const ImageSink& sink) const override {
    const std::size_t row = static_cast<std::size_t>(shape_[1] * shape_[2] * shape_[3]);
    file_.stream_rows("arr_0", [&](std::int64_t first, std::span<const std::byte> bytes) {
      for (std::size_t at = 0; at < bytes.size(); at += row, ++first) {
        sink(fmt::format("{}: image {}", file_.path().string(), first),
             to_tensor_of(reinterpret_cast<const std::uint8_t*>(bytes.data()) + at, shape_[1], shape_[2],
                          shape_[3]));
      }
    });
  }

 private:
  NpzReader file_;
  std::vector<std::int64_t> shape_;
};

class SafetensorsInput : public ImageInput {
 public:
  explicit SafetensorsInput(const fs::path& path) : file_(path), view_(file_.at("images")) {
    const auto& shape = view_.shape;
    const bool fits = view_.dtype == Dtype::f32 && shape.size() == 4 && view_.count() > 0;
    DIFFIT_CHECK(fits, "{}: images: wanted F32 [N, C, H, W], got {} [{}]", path.string(),
                 safetensors_name(view_.dtype), fmt::join(shape, ", "));
  }
  std::int64_t size() const override { return view_.shape[0]; }
  void read(const ImageSink& sink) const override {
    const std::size_t bytes = view_.bytes.size() / static_cast<std::size_t>(size());
    for (std::int64_t i = 0; i < size(); ++i) {
      const at::Tensor image = at::empty({view_.shape[1], view_.shape[2], view_.shape[3]}, at::kFloat);
      std::memcpy(image.mutable_data_ptr(), view_.bytes.data() + static_cast<std::size_t>(i) * bytes, bytes);
      const std::string name = fmt::format("{}: images[{}]", file_.path().string(), i);
      DIFFIT_CHECK(at::isfinite(image).all().item<bool>(), "{} contains NaN or infinity", name);
      sink(name, image);
    }
  }

 private:
  SafetensorsFile file_;
  const TensorView& view_;
};

PngText png_text(const Json& made_by) {
  return {{"Software", "diffit"}, {"diffit", json_text(made_by)}};
}

class GridOutput : public ImageOutput {
 public:
  GridOutput(fs::path path, Rounding rounding, const Json& made_by)
      : path_(std::move(path)), rounding_(rounding), text_(png_text(made_by)) {}
  void add(const at::Tensor& images) override {
    for (Image& image : to_images(images, rounding_)) images_.push_back(std::move(image));
  }
  void finish() override { write_png(path_, images_.size() == 1 ? images_[0] : grid(images_, 0), text_); }

 private:
  fs::path path_;
  Rounding rounding_;
  PngText text_;
  std::vector<Image> images_;
};

class FolderOutput : public ImageOutput {
 public:
  FolderOutput(fs::path path, std::int64_t count, Rounding rounding, const Json& made_by)
      : path_(std::move(path)), rounding_(rounding), text_(png_text(made_by)) {
    std::error_code error;
    fs::create_directories(path_, error);
    if (error) fail("{}: cannot create: {}", path_.string(), error.message());
    lock_.emplace(FileLock::path_in(path_));
    if (lock_->busy()) {
      fail(
          "{}: another process is writing images to this folder; wait for it to finish, or give another "
          "folder",
          path_.string());
    }
    remove_temporaries(path_);
    refuse_others(count);
    write_file(path_ / kUnfinishedName, text_["diffit"]);
  }
  void add(const at::Tensor& images) override {
    for (const Image& image : to_images(images, rounding_)) {
      write_png(path_ / name(next_++), image, text_);
    }
  }
  void finish() override { fs::remove(path_ / kUnfinishedName); }

 private:
  static std::string name(std::int64_t i) { return fmt::format("{:06}.png", i); }

  /// Images that this run does not write over would be taken for its own later.
  void refuse_others(std::int64_t count) const {
    std::set<std::string> own;
    for (std::int64_t i = 0; i < count; ++i) own.insert(name(i));
    for (const auto& entry : fs::directory_iterator(path_)) {
      const std::string file = entry.path().filename().string();
      if (file.starts_with('.') || !is_image_name(file)) continue;
      DIFFIT_CHECK(own.contains(file) && was_decoded(entry.path()),
                   "-o {}: contains {}, which is not an image of this request; give an empty folder",
                   path_.string(), file);
    }
  }

  /// Whether diffit vae decode made an image, or left it damaged under its own name.
  static bool was_decoded(const fs::path& path) {
    try {
      const PngText text = read_png_text(path);
      const auto found = text.find("diffit");
      if (found == text.end()) return false;
      const Json made_by = Json::parse(found->second, nullptr, /*allow_exceptions=*/false);
      return made_by.is_object() && made_by.contains("vae") && made_by.contains("latents");
    } catch (const Error&) {
      return false;
    }
  }

  fs::path path_;
  std::optional<FileLock> lock_;
  Rounding rounding_;
  PngText text_;
  std::int64_t next_ = 0;
};

class NpzOutput : public ImageOutput {
 public:
  NpzOutput(const fs::path& path, at::IntArrayRef shape, Rounding rounding)
      : rounding_(rounding), writer_(path) {
    const std::int64_t pixels_last[] = {shape[0], shape[2], shape[3], shape[1]};
    writer_.begin("arr_0", Dtype::u8, pixels_last);
  }
  void add(const at::Tensor& images) override {
    for (const Image& image : to_images(images, rounding_)) {
      writer_.write(std::as_bytes(std::span(image.pixels)));
    }
  }
  void finish() override {
    writer_.end();
    writer_.finish();
  }

 private:
  Rounding rounding_;
  NpzWriter writer_;
};

class SafetensorsOutput : public ImageOutput {
 public:
  SafetensorsOutput(fs::path path, at::IntArrayRef shape, const Json& made_by)
      : path_(std::move(path)), made_by_(made_by), images_(at::empty(shape, at::kFloat)) {}
  void add(const at::Tensor& images) override {
    images_.narrow(0, next_, images.size(0)).copy_(images);
    next_ += images.size(0);
  }
  void finish() override {
    const TensorView views[] = {view_of("images", images_)};
    write_safetensors(path_, views, {{"diffit.made_by", json_text(made_by_)}});
  }

 private:
  fs::path path_;
  Json made_by_;
  at::Tensor images_;
  std::int64_t next_ = 0;
};

}  // namespace

std::unique_ptr<ImageInput> open_image_input(const fs::path& path) {
  refuse_unfinished(path, "-i");
  std::error_code none;
  if (!fs::is_directory(path, none)) {
    if (is_image_name(path.filename().string())) return std::make_unique<OneImage>(path);
    if (path.extension() == ".npz") return std::make_unique<NpzInput>(path);
    if (path.extension() == ".safetensors") return std::make_unique<SafetensorsInput>(path);
  }
  return std::make_unique<SourceInput>(open_source(path, {.labels = LabelMode::none}));
}

at::Tensor with_channels(const at::Tensor& image, std::int64_t channels, const std::string& name) {
  if (image.size(0) == channels) return image;
  DIFFIT_CHECK(image.size(0) == 1, "{}: the autoencoder needs images with {} channel{}, got {}", name,
               channels, channels == 1 ? "" : "s", image.size(0));
  return image.expand({channels, -1, -1});
}

std::unique_ptr<ImageOutput> open_image_output(const fs::path& path, at::IntArrayRef shape, Rounding rounding,
                                               const Json& made_by) {
  check_image_output_path(path);
  const std::string extension = path.extension().string();
  const bool folder = is_folder_output(path);
  if (!folder && extension == ".safetensors")
    return std::make_unique<SafetensorsOutput>(path, shape, made_by);
  DIFFIT_CHECK(shape[1] == 1 || shape[1] == 3,
               "-o {}: the autoencoder decodes to {} channels, but image files have 1 or 3; use .safetensors",
               path.string(), shape[1]);
  if (folder) return std::make_unique<FolderOutput>(path, shape[0], rounding, made_by);
  if (extension == ".png") return std::make_unique<GridOutput>(path, rounding, made_by);
  return std::make_unique<NpzOutput>(path, shape, rounding);
}

}  // namespace diffit::jobs

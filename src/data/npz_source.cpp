// Images as samplers write them for evaluation: an .npz with arr_0 uint8 [N, H, W, C], arr_1 labels.
#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/printable.h"
#include "base/random_access.h"
#include "data/format.h"
#include "data/sources.h"
#include "io/archives/zip_places.h"
#include "io/tensors/convert_dtype.h"
#include "io/tensors/npz.h"

namespace diffit::data {
namespace {

constexpr const char* kImages = "arr_0";
constexpr const char* kLabels = "arr_1";

/// A whole number of any type as npz arrays hold it; -1 for one that is no label.
std::int64_t label_at(const NpyArray& array, std::size_t index) {
  const std::byte* at = array.data.data() + index * element_size(array.dtype);
  const auto as = [&](auto zero) {
    std::memcpy(&zero, at, sizeof(zero));
    return zero < 0 || static_cast<std::uint64_t>(zero) >= detail::kMostClasses
               ? -1
               : static_cast<std::int64_t>(zero);
  };
  switch (array.dtype) {
    case Dtype::i64:
      return as(std::int64_t{0});
    case Dtype::i32:
      return as(std::int32_t{0});
    case Dtype::i16:
      return as(std::int16_t{0});
    case Dtype::i8:
      return as(std::int8_t{0});
    case Dtype::u64:
      return as(std::uint64_t{0});
    case Dtype::u32:
      return as(std::uint32_t{0});
    case Dtype::u16:
      return as(std::uint16_t{0});
    case Dtype::u8:
      return as(std::uint8_t{0});
    default:
      return -1;
  }
}

bool is_whole(Dtype dtype) {
  return !is_floating(dtype) && dtype != Dtype::boolean;
}

class NpzSource : public ImageSource {
 public:
  NpzSource(const fs::path& path, const SourceOptions& options) : path_(path.string()), file_(path) {
    const NpzReader npz(path);
    read_shape(npz);
    facts_.format = "npz";
    if (npz.has(kLabels) && options.labels != LabelMode::none) {
      try {
        read_labels(npz);
        facts_.labels_from = kLabels;
      } catch (const Error& error) {
        if (error.kind() == ErrorKind::failed || options.labels_needed) throw;
        labels_.clear();
        classes_ = 0;
        facts_.notes.push_back(
            fmt::format("{} is not a list of labels and is ignored: {}", kLabels, error.what()));
      }
    }
    const auto stored = stored_offset(path, npz.header(kImages).data_offset);
    // Read once to its end, whatever way it lies: its checksum is then known to be right.
    if (stored) {
      offset_ = *stored;
      npz.stream_rows(kImages, [](std::int64_t, std::span<const std::byte>) {});
    } else {
      unpacked_ = std::make_unique<ScratchFile>();
      npz.stream_rows(kImages,
                      [&](std::int64_t, std::span<const std::byte> rows) { unpacked_->write(rows); });
    }
  }

  std::int64_t size() const override { return count_; }

  Image read(std::int64_t index) const override {
    Image image{width_, height_, channels_, {}};
    image.pixels.resize(static_cast<std::size_t>(width_ * height_ * channels_));
    const std::uint64_t at = static_cast<std::uint64_t>(index) * image.pixels.size();
    const auto out = std::as_writable_bytes(std::span(image.pixels));
    unpacked_ ? unpacked_->read(at, out) : file_.read(offset_ + at, out);
    return image;
  }

  std::optional<ImageInfo> uniform() const override { return ImageInfo{width_, height_, channels_}; }
  std::int64_t classes() const override { return classes_; }
  std::int64_t label(std::int64_t index) const override { return labels_[static_cast<std::size_t>(index)]; }
  std::string describe() const override { return "npz " + printable(path_); }
  std::string name(std::int64_t index) const override { return fmt::format("{}[{}]", kImages, index); }
  const SourceFacts& facts() const override { return facts_; }

 private:
  /// Where the images begin in the file, if they are not packed.
  static std::optional<std::uint64_t> stored_offset(const fs::path& path, std::uint64_t header) {
    const MappedFile file(path);
    const ZipReader zip(path);
    const auto entry = static_cast<std::size_t>(zip.find(std::string(kImages) + ".npy"));
    const auto content = stored_contents(zip, file.bytes())[entry];
    if (content.data() == nullptr) return std::nullopt;
    return static_cast<std::uint64_t>(content.data() - file.bytes().data()) + header;
  }

  void read_shape(const NpzReader& npz) {
    const NpyHeader header = npz.header(kImages);
    const auto& shape = header.shape;
    const std::int64_t channels = shape.size() == 4 ? shape[3] : shape.size() == 3 ? 1 : 0;
    DIFFIT_CHECK(header.dtype == Dtype::u8 && (channels == 1 || channels == 3),
                 "{}: {}: wanted images, uint8 [N, H, W, 3] or [N, H, W, 1], got {} [{}]", path_, kImages,
                 numpy_name(header.dtype), fmt::join(shape, ", "));
    DIFFIT_CHECK(shape[0] > 0 && std::min(shape[1], shape[2]) > 0,
                 "{}: {}: contains no image, its shape is [{}]", path_, kImages, fmt::join(shape, ", "));
    DIFFIT_CHECK(std::max(shape[1], shape[2]) <= kLargestSide, "{}: {}: wanted sides up to {}, got {}x{}",
                 path_, kImages, kLargestSide, shape[2], shape[1]);
    count_ = shape[0];
    height_ = shape[1];
    if (shape.size() == 3 && (shape[2] == 3 || shape[2] == 4)) {
      facts_.warnings.push_back(fmt::format(
          "{} [{}] is read as {} greyscale images of width {}; a single color image has the shape [1, {}]",
          kImages, fmt::join(shape, ", "), shape[0], shape[2], fmt::join(shape, ", ")));
    }
    width_ = shape[2];
    channels_ = channels;
  }

  void read_labels(const NpzReader& npz) {
    const NpyHeader header = npz.header(kLabels);
    const bool column = header.shape.size() == 2 && header.shape[1] == 1;  // as Keras has them
    DIFFIT_CHECK(is_whole(header.dtype) && (header.shape.size() == 1 || column) && header.shape[0] == count_,
                 "{}: {}: wanted one whole number per image, [{}], got {} [{}]", path_, kLabels, count_,
                 numpy_name(header.dtype), fmt::join(header.shape, ", "));
    const NpyArray array = npz.read(kLabels, 8 * static_cast<std::uint64_t>(count_));
    for (std::size_t i = 0; i < static_cast<std::size_t>(count_); ++i) {
      const std::int64_t label = label_at(array, i);
      DIFFIT_CHECK(label >= 0, "{}: {}[{}]: wanted a class of 0..{}; without arr_1 the images have no labels",
                   path_, kLabels, i, detail::kMostClasses - 1);
      labels_.push_back(label);
      classes_ = std::max(classes_, label + 1);
    }
  }

  /// What people call an element type.
  static std::string numpy_name(Dtype dtype) {
    if (dtype == Dtype::boolean) return "bool";
    const char* kind =
        is_floating(dtype)                                                                        ? "float"
        : dtype == Dtype::u8 || dtype == Dtype::u16 || dtype == Dtype::u32 || dtype == Dtype::u64 ? "uint"
                                                                                                  : "int";
    return fmt::format("{}{}", kind, 8 * element_size(dtype));
  }

  std::string path_;
  RandomAccessFile file_;
  std::uint64_t offset_ = 0;               // of stored images in the file
  std::unique_ptr<ScratchFile> unpacked_;  // of packed ones
  std::int64_t count_ = 0, height_ = 0, width_ = 0, channels_ = 0, classes_ = 0;
  std::vector<std::int64_t> labels_;
  SourceFacts facts_;
};

}  // namespace

bool detail::is_npz(const fs::path& path) {
  if (path.extension() == ".npz") return true;
  return path.extension() != ".zip" && ZipReader(path).find(std::string(kImages) + ".npy") >= 0;
}

std::unique_ptr<ImageSource> detail::open_npz(const fs::path& path, const SourceOptions& options) {
  return std::make_unique<NpzSource>(path, options);
}

extern const DataFormat format_npz;
const DataFormat format_npz{
    .title = "an .npz",
    .recognizes = [](const FormatProbe& p) { return p.start.starts_with("PK") && detail::is_npz(p.path); },
    .open = detail::open_npz,
};

}  // namespace diffit::data

#include "data/convert.h"

#include <algorithm>

#include "base/error.h"
#include "base/printable.h"
#include "config/fields.h"
#include "config/json_text.h"
#include "data/sources.h"
#include "data/workers.h"
#include "io/archives/zip.h"

namespace diffit::data {
namespace {

/// Thrown where an RGB image turns up that looked grey: all has to be RGB.
struct ColourFound {};

Image as_rgb(const Image& grey) {
  Image out{grey.width, grey.height, 3, {}};
  out.pixels.reserve(3 * grey.pixels.size());
  for (const std::uint8_t value : grey.pixels) out.pixels.insert(out.pixels.end(), 3, value);
  return out;
}

/// An image of a block: encoded, or why it could not be.
struct Encoded {
  std::vector<std::byte> png;
  std::string broken;
};

class Conversion {
 public:
  /// `source` gives images as they are wanted, all `resolution` x `resolution` but for broken ones.
  Conversion(const ImageSource& source, std::int64_t resolution, const fs::path& destination,
             const ConvertOptions& options)
      : source_(source), resolution_(resolution), destination_(destination), options_(options) {}

  /// Throws ColourFound unless all images have at most `channels`.
  Converted run(std::int64_t channels, const std::function<void(std::int64_t, std::int64_t)>& progress) {
    const int threads = thread_count(options_.threads);
    const std::int64_t image_bytes = resolution_ * resolution_ * channels;
    const std::int64_t block = std::clamp<std::int64_t>(
        (std::int64_t{64} << 20) / std::max<std::int64_t>(image_bytes, 1), threads, 512);
    ZipWriter zip(destination_);
    Converted result{0, resolution_, channels, source_.classes(), {}, {}};
    std::vector<std::int64_t> kept;
    std::vector<Encoded> encoded(static_cast<std::size_t>(block));
    for (std::int64_t first = 0; first < source_.size(); first += block) {
      const std::int64_t last = std::min(first + block, source_.size());
      in_parallel(first, last, threads,
                  [&](std::int64_t i) { encode(i, channels, encoded[static_cast<std::size_t>(i - first)]); });
      for (std::int64_t i = first; i < last; ++i) {
        Encoded& image = encoded[static_cast<std::size_t>(i - first)];
        if (!image.broken.empty()) {
          result.skipped.push_back({i, printable(source_.name(i)), std::move(image.broken)});
          image.broken.clear();
          continue;
        }
        zip.add(detail::edm_name(static_cast<std::int64_t>(kept.size())), image.png);
        kept.push_back(i);
      }
      if (progress) progress(last, source_.size());
    }
    DIFFIT_CHECK(!kept.empty(), "{}: no image can be read, the first: {}", source_.describe(),
                 result.skipped.front().reason);
    write_labels(zip, kept);
    zip.finish();
    result.images = static_cast<std::int64_t>(kept.size());
    return result;
  }

 private:
  void encode(std::int64_t index, std::int64_t channels, Encoded& out) const {
    try {
      out.png = encode_png(prepared(index, channels), 0);
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::failed) throw;
      if (!options_.skip_broken) reject("{}; `skip_broken` skips such images", error.what());
      out.broken = error.what();
    }
  }

  Image prepared(std::int64_t index, std::int64_t channels) const {
    Image image = source_.read(index);
    DIFFIT_CHECK(image.width == resolution_ && image.height == resolution_,
                 "{}: {}: wanted {}x{} like most images, got {}x{}; try `size` {} `crop` center",
                 source_.describe(), printable(source_.name(index)), resolution_, resolution_, image.width,
                 image.height, resolution_);
    if (image.channels > channels) throw ColourFound{};
    return image.channels == channels ? image : as_rgb(image);
  }

  void write_labels(ZipWriter& zip, const std::vector<std::int64_t>& kept) const {
    zip.begin("dataset.json");
    const auto put = [&zip](const std::string& text) {
      zip.write(std::as_bytes(std::span(text.data(), text.size())));
    };
    if (source_.classes() == 0) {
      put("{\"labels\": null}");
    } else {
      std::string text = "{\"labels\": [";
      for (std::size_t i = 0; i < kept.size(); ++i) {
        text += fmt::format("{}[\"{}\", {}]", i > 0 ? ", " : "",
                            detail::edm_name(static_cast<std::int64_t>(i)), source_.label(kept[i]));
        if (text.size() > 1 << 16) {
          put(text);
          text.clear();
        }
      }
      put(text + "]" + names_of_classes() + "}");
    }
    zip.end();
  }

  /// EDM's and StyleGAN's tools read "labels" only.
  std::string names_of_classes() const {
    const std::vector<std::string>& names = source_.facts().class_names;
    if (names.empty() || static_cast<std::int64_t>(names.size()) != source_.classes()) return {};
    return ", \"class_names\": " + json_text(Json(names));
  }

  const ImageSource& source_;
  const std::int64_t resolution_;
  const fs::path& destination_;
  const ConvertOptions& options_;
};

/// Refuses what the headers tell already.
void check_scan(const ImageSource& source, const ImageScan& scan) {
  if (scan.broken_count > 0) {
    reject("{}{}; `skip_broken` skips such images", scan.broken.front().reason,
           scan.broken_count > 1 ? fmt::format(" ({} more images are unusable)", scan.broken_count - 1) : "");
  }
  if (scan.odd.empty()) return;
  const OddImage& odd = scan.odd.front();
  const ImageInfo usual = scan.usual();
  reject("{}: {}: wanted {}x{} like most images, got {}x{}{}; try `size` {} `crop` center, or `skip_broken`",
         source.describe(), odd.name, usual.width, usual.height, odd.info.width, odd.info.height,
         scan.odd.size() > 1 ? fmt::format(" ({} of {} images have other sizes: {})", scan.odd_count(),
                                           source.size(), list_odd(scan.odd))
                             : "",
         std::min(usual.width, usual.height));
}

}  // namespace

Converted convert(const ImageSource& source, const fs::path& destination, const ConvertOptions& options,
                  const std::function<void(std::int64_t, std::int64_t)>& progress) {
  DIFFIT_CHECK(destination.extension() == ".zip", "wanted a destination that ends in .zip, got {}",
               destination.string());
  DIFFIT_CHECK(options.crop == Crop::none || options.size > 0,
               "a crop needs the size of the result: `size` N");
  const auto view = options.size > 0 ? fitted_view(source, options.size, options.crop) : nullptr;
  const ImageSource& wanted = view ? *view : source;
  DIFFIT_CHECK(wanted.size() > 0, "{}: wanted a data set with images, got an empty one", source.describe());
  ImageScan scan = scan_images(wanted, {.decode = false, .threads = options.threads});
  const ImageInfo usual = scan.usual();
  DIFFIT_CHECK(scan.broken_count < wanted.size(), "{}: no image can be read, the first: {}",
               source.describe(), scan.broken.front().reason);
  DIFFIT_CHECK(usual.width == usual.height,
               "{}: {}: wanted square images, got {}x{}; try `size` N `crop` center", source.describe(),
               printable(source.name(scan.sizes[0].first)), usual.width, usual.height);
  if (options.skip_broken) {
    std::erase_if(scan.sizes, [&](const ImageSize& s) {
      return s.info.width != usual.width || s.info.height != usual.height;
    });
    scan.odd.clear();
    scan.broken.clear();
    scan.broken_count = 0;
  } else {
    check_scan(wanted, scan);
  }
  DataDescription description = describe_data(wanted, scan);
  if (options.strict) refuse_warnings(description);
  Conversion conversion(wanted, usual.width, destination, options);
  Converted result;
  try {
    result = conversion.run(scan.channels(), progress);
  } catch (const ColourFound&) {
    result = conversion.run(3, progress);
  }
  result.source = std::move(description);
  return result;
}

}  // namespace diffit::data

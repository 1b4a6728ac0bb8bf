#include "data/convert.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#include "base/cpu_count.h"
#include "base/error.h"
#include "data/sources.h"
#include "io/zip.h"

namespace diffit {
namespace {

/// Thrown where an RGB picture turns up after grey ones: all has to be RGB.
struct ColourFound {};

Picture as_rgb(const Picture& grey) {
  Picture out{grey.width, grey.height, 3, {}};
  out.pixels.reserve(3 * grey.pixels.size());
  for (const std::uint8_t value : grey.pixels) out.pixels.insert(out.pixels.end(), 3, value);
  return out;
}

/// Calls work(i) for i in first..last-1 on several threads and rethrows what the first in order threw.
void in_parallel(std::int64_t first, std::int64_t last, int threads,
                 const std::function<void(std::int64_t)>& work) {
  std::atomic<std::int64_t> next = first;
  std::mutex mutex;
  std::exception_ptr error;
  std::int64_t failed_at = last;
  const auto run = [&] {
    for (std::int64_t i = next++; i < last; i = next++) {
      try {
        work(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (i < failed_at) {
          failed_at = i;
          error = std::current_exception();
        }
        return;
      }
    }
  };
  {
    std::vector<std::jthread> workers;
    for (int i = 1; i < threads; ++i) workers.emplace_back(run);
    run();
  }
  if (error) std::rethrow_exception(error);
}

class Conversion {
 public:
  Conversion(const PictureSource& source, const fs::path& destination, const ConvertOptions& options)
      : source_(source), destination_(destination), options_(options) {}

  /// Throws ColourFound unless all pictures have at most `channels`.
  Converted run(std::int64_t channels, std::int64_t resolution,
                const std::function<void(std::int64_t, std::int64_t)>& progress) {
    const int threads = options_.threads > 0 ? options_.threads : cpu_count();
    const std::int64_t picture_bytes = resolution * resolution * channels;
    const std::int64_t block = std::clamp<std::int64_t>(
        (std::int64_t{64} << 20) / std::max<std::int64_t>(picture_bytes, 1), threads, 512);
    ZipWriter zip(destination_);
    std::vector<std::vector<std::byte>> encoded(static_cast<std::size_t>(block));
    for (std::int64_t first = 0; first < source_.size(); first += block) {
      const std::int64_t last = std::min(first + block, source_.size());
      in_parallel(first, last, threads, [&](std::int64_t i) {
        encoded[static_cast<std::size_t>(i - first)] = encode_png(prepared(i, channels, resolution), 0);
      });
      for (std::int64_t i = first; i < last; ++i) {
        zip.add(detail::edm_name(i), encoded[static_cast<std::size_t>(i - first)]);
      }
      if (progress) progress(last, source_.size());
    }
    write_labels(zip);
    zip.finish();
    return {source_.size(), resolution, channels, source_.classes()};
  }

  Picture fitted_picture(std::int64_t index) const {
    Picture picture = source_.read(index);
    if (options_.size == 0) return picture;
    return fitted(std::move(picture), options_.size, options_.crop, where(index));
  }
  std::string where(std::int64_t index) const { return source_.describe() + ": " + source_.name(index); }

 private:
  Picture prepared(std::int64_t index, std::int64_t channels, std::int64_t resolution) const {
    Picture picture = fitted_picture(index);
    DIFFIT_CHECK(picture.width == resolution && picture.height == resolution,
                 "{}: wanted {}x{} as the pictures before it, got {}x{}; try --size {} --crop center",
                 where(index), resolution, resolution, picture.width, picture.height, resolution);
    if (picture.channels > channels) throw ColourFound{};
    return picture.channels == channels ? picture : as_rgb(picture);
  }

  void write_labels(ZipWriter& zip) const {
    zip.begin("dataset.json");
    const auto put = [&zip](const std::string& text) {
      zip.write(std::as_bytes(std::span(text.data(), text.size())));
    };
    if (source_.classes() == 0) {
      put("{\"labels\": null}");
    } else {
      std::string text = "{\"labels\": [";
      for (std::int64_t i = 0; i < source_.size(); ++i) {
        text += fmt::format("{}[\"{}\", {}]", i > 0 ? ", " : "", detail::edm_name(i), source_.label(i));
        if (text.size() > 1 << 16) {
          put(text);
          text.clear();
        }
      }
      put(text + "]}");
    }
    zip.end();
  }

  const PictureSource& source_;
  const fs::path& destination_;
  const ConvertOptions& options_;
};

}  // namespace

Converted convert(const PictureSource& source, const fs::path& destination, const ConvertOptions& options,
                  const std::function<void(std::int64_t, std::int64_t)>& progress) {
  DIFFIT_CHECK(destination.extension() == ".zip", "wanted a destination that ends in .zip, got {}",
               destination.string());
  DIFFIT_CHECK(options.crop == Crop::none || options.size > 0,
               "a crop wants the size to bring pictures to: --size N");
  Conversion conversion(source, destination, options);
  const Picture first = conversion.fitted_picture(0);
  DIFFIT_CHECK(first.width == first.height,
               "{}: wanted square pictures, got {}x{}; try --size N --crop center", conversion.where(0),
               first.width, first.height);
  try {
    return conversion.run(first.channels, first.width, progress);
  } catch (const ColourFound&) {
    return conversion.run(3, first.width, progress);
  }
}

}  // namespace diffit

// A grid of images of a data set (diffit/data.h).
#include <algorithm>

#include "base/error.h"
#include "base/output_check.h"
#include "base/random.h"
#include "data/fit.h"
#include "data/source.h"
#include "diffit/data.h"
#include "io/images/image.h"
#include "jobs/advance.h"
#include "jobs/guard.h"
#include "jobs/no_monitor.h"

namespace diffit::jobs {

namespace {

/// The images shown: drawn without repetition; with `by_class` a row for each class, filled up with -1.
std::vector<std::int64_t> choose(const ImageSource& source, const PreviewDataSpec& spec,
                                 std::int64_t columns) {
  const auto size = static_cast<std::uint64_t>(source.size());
  std::vector<std::int64_t> chosen;
  std::vector<std::vector<std::int64_t>> rows(static_cast<std::size_t>(source.classes()));
  std::size_t full = 0;
  for (std::uint64_t i = 0; i < size; ++i) {
    const auto index = static_cast<std::int64_t>(
        permuted(i, size, static_cast<std::uint64_t>(spec.seed), stream_of(Purpose::data_order)));
    if (!spec.by_class) {
      if (static_cast<std::int64_t>(chosen.size()) == spec.count) break;
      chosen.push_back(index);
      continue;
    }
    auto& row = rows[static_cast<std::size_t>(source.label(index))];
    if (static_cast<std::int64_t>(row.size()) == columns) continue;
    row.push_back(index);
    full += static_cast<std::int64_t>(row.size()) == columns;
    if (full == rows.size()) break;
  }
  for (auto& row : rows) {
    row.resize(static_cast<std::size_t>(spec.by_class ? columns : 0), -1);
    chosen.insert(chosen.end(), row.begin(), row.end());
  }
  return chosen;
}

/// Reads the chosen images, all with the side of the first; white where there is none.
std::vector<Image> read_chosen(const ImageSource& source, const std::vector<std::int64_t>& chosen,
                               Monitor& monitor) {
  std::vector<Image> images(chosen.size());
  std::int64_t side = 0;
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    stop_if_cancelled(monitor, "interrupted; no file was written");
    if (chosen[i] < 0) continue;
    Image image = source.read(chosen[i]);
    if (side == 0) side = std::min(image.width, image.height);
    if (image.width != side || image.height != side)
      image = fitted(std::move(image), side, Crop::center, source.name(chosen[i]));
    images[i] = std::move(image);
  }
  const Image blank{side, side, 1, std::vector<std::uint8_t>(static_cast<std::size_t>(side * side), 255)};
  for (Image& image : images) {
    if (image.width == 0) image = blank;
  }
  return images;
}

PreviewDataResult run_preview_data(const PreviewDataSpec& spec, Monitor& monitor) {
  DIFFIT_CHECK(spec.count >= 1 && spec.scale >= 1, "`count` and `scale`: wanted at least 1, got {} and {}",
               spec.count, spec.scale);
  DIFFIT_CHECK(spec.columns >= 0 && spec.size >= 0 && spec.seed >= 0,
               "`columns`, `size` and `seed`: wanted at least 0, got {}, {} and {}", spec.columns, spec.size,
               spec.seed);
  check_output_file(spec.out, "`out`");
  auto source = open_source(spec.data);
  DIFFIT_CHECK(!spec.by_class || source->classes() > 0,
               "{}: `by_class` needs labels, and the data set has none", source->describe());
  if (spec.size > 0) source = fitted(std::move(source), spec.size, Crop::center);
  std::int64_t columns = spec.columns;
  if (spec.by_class && columns == 0) columns = std::max<std::int64_t>(spec.count / source->classes(), 1);
  const std::vector<Image> images = read_chosen(*source, choose(*source, spec, columns), monitor);
  write_png(spec.out, enlarged(grid(images, columns), spec.scale), {{"Source", source->describe()}});
  return {static_cast<std::int64_t>(images.size()), source->describe()};
}

}  // namespace

}  // namespace diffit::jobs

namespace diffit {

PreviewDataResult preview_data(const PreviewDataSpec& spec, Monitor& monitor) {
  return jobs::guarded([&] { return jobs::run_preview_data(spec, monitor); });
}

PreviewDataResult preview_data(const PreviewDataSpec& spec) {
  return preview_data(spec, jobs::no_monitor());
}

}  // namespace diffit

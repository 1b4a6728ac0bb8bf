// Conversion of data sets (diffit/data.h).
#include "base/error.h"
#include "base/output_check.h"
#include "config/json_text.h"
#include "data/convert.h"
#include "diffit/data.h"
#include "jobs/advance.h"
#include "jobs/guard.h"
#include "jobs/no_monitor.h"
#include "jobs/unfinished.h"

namespace diffit::jobs {

namespace {

ConvertDataResult run_convert_data(const ConvertDataSpec& spec, Monitor& monitor) {
  DIFFIT_CHECK(spec.size >= 0, "`size`: wanted at least 0, got {}", spec.size);
  ConvertOptions options;
  options.size = spec.size;
  options.crop = parse_crop(spec.crop);
  options.threads = spec.threads;
  options.skip_broken = spec.skip_broken;
  options.strict = spec.strict;
  check_output_file(spec.dest, "`dest`");
  refuse_unfinished(spec.data, "`data`");
  const auto source = open_source(spec.data, {.labels = parse_label_mode(spec.labels)});
  const auto interrupted = [&](std::int64_t done, std::int64_t all) {
    return fmt::format("{}: interrupted after {} of {} images; no file was written", spec.dest, done, all);
  };
  stop_if_cancelled(monitor, interrupted(0, source->size()));
  const Converted converted = convert(*source, spec.dest, options, [&](std::int64_t done, std::int64_t all) {
    advance(monitor, {done, all, "images"}, interrupted(done, all));
  });
  if ((converted.resolution & (converted.resolution - 1)) != 0) {
    monitor.note(
        fmt::format("note: EDM's own tools require a side that is a power of two, but this is {}; see `size`",
                    converted.resolution));
  }
  for (const std::string& warning : converted.source.warnings) monitor.warning(warning);
  if (!converted.skipped.empty()) {
    monitor.warning(fmt::format("{} of {} images were skipped, the first: {}", converted.skipped.size(),
                                converted.source.images, converted.skipped.front().reason));
  }
  ConvertDataResult result;
  result.images = converted.images;
  result.resolution = converted.resolution;
  result.channels = converted.channels;
  result.classes = converted.classes;
  for (const BrokenImage& image : converted.skipped)
    result.skipped.push_back({image.index, image.name, image.reason});
  result.source = converted.source.kind + "\n" + description_text(converted.source);
  result.source_json = json_text(description_json(converted.source));
  result.warnings = converted.source.warnings;
  return result;
}

}  // namespace

}  // namespace diffit::jobs

namespace diffit {

ConvertDataResult convert_data(const ConvertDataSpec& spec, Monitor& monitor) {
  return jobs::guarded([&] { return jobs::run_convert_data(spec, monitor); });
}

ConvertDataResult convert_data(const ConvertDataSpec& spec) {
  return convert_data(spec, jobs::no_monitor());
}

}  // namespace diffit

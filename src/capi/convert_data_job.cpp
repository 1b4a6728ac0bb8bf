// The job of diffit_run() that converts data sets.
#include "base/error.h"
#include "base/output_check.h"
#include "capi/job_table.h"
#include "config/json_text.h"
#include "data/convert.h"
#include "data/source.h"
#include "jobs/advance.h"
#include "jobs/unfinished.h"

namespace diffit::capi {

JobResult run_convert_data(SpecReader& reader, const RuntimeOptions& runtime, TrainMonitor& monitor) {
  std::string data, dest, crop = "none", labels = "auto";
  data::ConvertOptions options;
  reader("data", data);
  reader("dest", dest);
  reader("crop", crop);
  reader("labels", labels);
  reader("size", options.size);
  reader("skip_broken", options.skip_broken);
  reader("strict", options.strict);
  reader.finish();
  DIFFIT_CHECK(options.size >= 0, "`size`: wanted at least 0, got {}", options.size);
  options.crop = data::parse_crop(crop);
  options.threads = runtime.threads;
  check_output_file(dest, "`dest`");
  refuse_unfinished(data, "`data`");
  const auto source = data::open_source(data, {.labels = data::parse_label_mode(labels)});
  const data::Converted r = data::convert(*source, dest, options, [&](std::int64_t done, std::int64_t all) {
    advance(monitor, {done, all, "images"},
            fmt::format("{}: interrupted after {} of {} images; no file was written", dest, done, all));
  });
  for (const std::string& warning : r.source.warnings) monitor.warning(warning);
  Json skipped = Json::array();
  for (const data::BrokenImage& image : r.skipped) skipped.push_back(image.reason);
  if (!r.skipped.empty()) {
    monitor.warning(fmt::format("{} of {} images were skipped, the first: {}", r.skipped.size(),
                                r.source.images, r.skipped.front().reason));
  }
  return {json_text(Json{{"images", r.images},
                         {"resolution", r.resolution},
                         {"channels", r.channels},
                         {"classes", r.classes},
                         {"skipped", skipped},
                         {"warnings", r.source.warnings}}),
          {}};
}

}  // namespace diffit::capi

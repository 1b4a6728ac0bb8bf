// The job of diffit_run() that converts data sets.
#include "capi/job_table.h"
#include "config/json_text.h"
#include "diffit/data.h"
#include "jobs/result_json.h"

namespace diffit::capi {

JobResult run_convert_data(SpecReader& reader, const RuntimeOptions& runtime, TrainMonitor& monitor) {
  ConvertDataSpec s;
  reader("data", s.data);
  reader("dest", s.dest);
  reader("size", s.size);
  reader("crop", s.crop);
  reader("labels", s.labels);
  reader("skip_broken", s.skip_broken);
  reader("strict", s.strict);
  reader.finish();
  s.threads = runtime.threads;
  Json object = json_of(convert_data(s, monitor));
  for (Json& image : object["skipped"]) image = image["reason"];
  object.erase("source");
  return {json_text(object), {}};
}

}  // namespace diffit::capi

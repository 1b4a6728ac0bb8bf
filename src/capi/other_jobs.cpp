// The jobs of diffit_run() about statistics, attention and autoencoders.
#include "capi/job_table.h"
#include "config/json_text.h"
#include "diffit/autoencoder.h"
#include "diffit/explain.h"
#include "diffit/statistics.h"
#include "jobs/result_json.h"

namespace diffit::capi {

JobResult run_statistics(SpecReader& reader, const RuntimeOptions& runtime, TrainMonitor& monitor) {
  StatisticsSpec s;
  reader("data", s.data);
  reader("output", s.output);
  reader("features", s.features);
  reader("limit", s.limit);
  reader("batch", s.batch);
  reader("keep", s.keep);
  reader.finish();
  return {json_text(json_of(compute_statistics(s, runtime, monitor))), {}};
}

JobResult run_explain(SpecReader& reader, const RuntimeOptions& runtime, TrainMonitor& monitor) {
  ExplainSpec s;
  reader("model", s.model);
  reader("data", s.data);
  reader("vae", s.vae);
  reader("images", s.images);
  reader("levels", s.levels);
  reader("sigma_min", s.sigma_min);
  reader("sigma_max", s.sigma_max);
  reader("out", s.out);
  reader.finish();
  return {explain(s, runtime, monitor).json, {}};
}

JobResult run_encode(SpecReader& reader, const RuntimeOptions& runtime, TrainMonitor& monitor) {
  EncodeSpec s;
  reader("vae", s.vae);
  reader("in", s.in);
  reader("out", s.out);
  reader("batch", s.batch);
  reader("scale", s.scale);
  reader.finish();
  return {json_text(json_of(encode(s, runtime, monitor))), {}};
}

JobResult run_decode(SpecReader& reader, const RuntimeOptions& runtime, TrainMonitor& monitor) {
  DecodeSpec s;
  reader("vae", s.vae);
  reader("in", s.in);
  reader("out", s.out);
  reader("batch", s.batch);
  reader("scale", s.scale);
  reader("rounding", s.rounding);
  reader("tile", s.tile);
  reader.finish();
  return {json_text(json_of(decode(s, runtime, monitor))), {}};
}

JobResult run_encode_data(SpecReader& reader, const RuntimeOptions& runtime, TrainMonitor& monitor) {
  EncodeDataSpec s;
  reader("data", s.data);
  reader("dest", s.dest);
  reader("vae", s.vae);
  reader("batch", s.batch);
  reader("size", s.size);
  reader("restart", s.restart);
  reader.finish();
  return {json_text(json_of(encode_data(s, runtime, monitor))), {}};
}

}  // namespace diffit::capi

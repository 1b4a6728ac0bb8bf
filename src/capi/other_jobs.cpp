// The jobs of diffit_run() about statistics, attention and autoencoders.
#include "capi/job_table.h"
#include "config/json_text.h"
#include "diffit/autoencoder.h"
#include "diffit/explain.h"
#include "diffit/statistics.h"

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
  const StatisticsResult r = compute_statistics(s, runtime, monitor);
  return {json_text(Json{{"images", r.images},
                         {"width", r.width},
                         {"height", r.height},
                         {"channels", r.channels},
                         {"network", {{"name", r.network}, {"identity", r.identity}}},
                         {"features", r.features},
                         {"spatial_features", r.spatial_features},
                         {"kept_features", r.kept_features},
                         {"warnings", r.warnings}}),
          {}};
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
  const EncodeResult r = encode(s, runtime, monitor);
  return {json_text(Json{{"shape", r.shape},
                         {"scale", r.scale},
                         {"scale_from", r.scale_from},
                         {"vae_identity", r.vae_identity},
                         {"mean", r.mean},
                         {"standard_deviation", r.deviation},
                         {"seconds", r.seconds}}),
          {}};
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
  const DecodeResult r = decode(s, runtime, monitor);
  return {json_text(Json{{"shape", r.shape},
                         {"scale", r.scale},
                         {"scale_from", r.scale_from},
                         {"tile", r.tile},
                         {"seconds", r.seconds}}),
          {}};
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
  const LatentData r = encode_data(s, runtime, monitor);
  return {json_text(Json{{"source", r.source},
                         {"images", r.images},
                         {"width", r.width},
                         {"height", r.height},
                         {"channels", r.channels},
                         {"classes", r.classes},
                         {"shards", r.shards},
                         {"vae_identity", r.vae_identity},
                         {"scale", r.scale},
                         {"mean", r.mean},
                         {"standard_deviation", r.deviation}}),
          {}};
}

}  // namespace diffit::capi

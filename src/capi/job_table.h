// The functions behind the names of diffit_run().
#pragma once

#include "capi/jobs.h"
#include "capi/spec_reader.h"
#include "diffit/runtime.h"

namespace diffit::capi {

/// Reads the job's fields, without those of RuntimeOptions, and runs it.
using Job = JobResult (*)(SpecReader&, const RuntimeOptions&, TrainMonitor&);

JobResult run_statistics(SpecReader& reader, const RuntimeOptions& runtime, TrainMonitor& monitor);
JobResult run_explain(SpecReader& reader, const RuntimeOptions& runtime, TrainMonitor& monitor);
JobResult run_encode(SpecReader& reader, const RuntimeOptions& runtime, TrainMonitor& monitor);
JobResult run_decode(SpecReader& reader, const RuntimeOptions& runtime, TrainMonitor& monitor);
JobResult run_encode_data(SpecReader& reader, const RuntimeOptions& runtime, TrainMonitor& monitor);
JobResult run_convert_data(SpecReader& reader, const RuntimeOptions& runtime, TrainMonitor& monitor);

}  // namespace diffit::capi

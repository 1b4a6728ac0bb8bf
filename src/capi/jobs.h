// The jobs of diffit_run(): a JSON specification in, JSON and tensors out.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "capi/names.h"
#include "diffit/train.h"

namespace diffit::capi {

struct JobResult {
  std::string json;  // an object
  std::vector<at::Tensor> tensors;
};

/// Throws Error: invalid for a job that does not exist and for a wrong field, and what the job throws.
JobResult run_job(const std::string& job, const char* spec, TrainMonitor& monitor);

/// The fields of RuntimeOptions out of a JSON object; null: the defaults.
RuntimeOptions read_runtime(const char* options);

}  // namespace diffit::capi

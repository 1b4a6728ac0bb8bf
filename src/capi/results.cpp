// The functions of c.h about the library and its jobs.
#include <ATen/DLConvertor.h>
#include <torch/version.h>

#include "base/bundled.h"
#include "base/error.h"
#include "capi/jobs.h"
#include "capi/last_error.h"
#include "capi/monitor.h"
#include "capi/torch_settings.h"
#include "diffit/runtime.h"

using namespace diffit::capi;

struct diffit_result {
  JobResult result;
};

int diffit_c_version(void) {
  return DIFFIT_C_VERSION;
}

const char* diffit_version(void) {
  return diffit::version();
}

const char* diffit_libtorch_version(void) {
  return TORCH_VERSION;
}

diffit_status diffit_set_resource_folder(const char* path) {
  return status_of([&] { diffit::set_resource_folder(path == nullptr ? "" : path); });
}

diffit_status diffit_run(const char* job, const char* spec, const diffit_monitor* monitor,
                         diffit_result** result) {
  if (result != nullptr) *result = nullptr;
  return status_of([&] {
    DIFFIT_CHECK(job != nullptr && result != nullptr, "diffit_run: wanted a job and a place for its result");
    const TorchSettings settings;
    CMonitor reports(monitor);
    *result = new diffit_result{run_job(job, spec, reports)};
  });
}

const char* diffit_result_json(const diffit_result* result) {
  return result == nullptr ? nullptr : result->result.json.c_str();
}

int64_t diffit_result_tensors(const diffit_result* result) {
  return result == nullptr ? 0 : static_cast<std::int64_t>(result->result.tensors.size());
}

diffit_status diffit_result_tensor(const diffit_result* result, int64_t index, DLManagedTensor** tensor) {
  return status_of([&] {
    DIFFIT_CHECK(tensor != nullptr && index >= 0 && index < diffit_result_tensors(result),
                 "diffit_result_tensor: the result has {} tensors, tensor {} was wanted",
                 diffit_result_tensors(result), index);
    *tensor = at::toDLPack(result->result.tensors[static_cast<std::size_t>(index)]);
  });
}

void diffit_result_free(diffit_result* result) {
  delete result;
}

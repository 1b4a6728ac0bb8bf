// diffit::diagnose() (diffit/diagnose.h) for callers that print its result.
#pragma once

#include "analysis/diagnosis.h"
#include "diffit/diagnose.h"
#include "runtime/runtime.h"

namespace diffit::jobs {

/// As diffit::diagnose().
Diagnosis run_diagnosis(const DiagnoseSpec& spec, const RuntimeOptions& options, Monitor& monitor);

}  // namespace diffit::jobs

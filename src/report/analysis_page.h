// Pages with the results of src/analysis.
#pragma once

#include <string>
#include <vector>

#include "analysis/diagnosis.h"
#include "analysis/robustness.h"
#include "report/page.h"

namespace diffit::report {

/// Bound and separation of each set, and the error by noise level as curves and as a table.
Page robustness_page(const std::string& model, const RobustnessRequest& request,
                     const std::vector<SetScores>& sets, const std::string& command);

/// The signatures with thresholds and reasons, and the error by noise level.
Page diagnosis_page(const Diagnosis& diagnosis, const std::string& command);

}  // namespace diffit::report

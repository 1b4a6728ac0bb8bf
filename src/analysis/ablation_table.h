// The table of an experiment in the paper's shape, as Markdown.
#pragma once

#include <string>

#include "analysis/ablation_results.h"

namespace diffit {

/// One row a variant: the paper's row and figure beside ours with its interval over seeds, the difference to
/// the reference, and costs. What is not there yet is a dash.
std::string markdown_of(const AblationResults& results);

}  // namespace diffit

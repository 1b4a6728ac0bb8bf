// An experiment as a table in the paper's shape and as a page.
#pragma once

#include <string>

#include "analysis/ablation_results.h"
#include "report/page.h"

namespace diffit {

/// One row a variant: the paper's row and figure beside ours with its interval over seeds, the difference to
/// the reference, and costs. What is not there yet is a dash.
Table ablation_table(const AblationResults& results);

/// The table under its title, with a line on how intervals came about: for a README.
std::string ablation_markdown(const AblationResults& results);

/// Table, curves of loss and score, cost against score with the Pareto front, and what it was made with.
/// `command`: as it was typed.
Page ablation_page(const AblationResults& results, const std::string& command);

}  // namespace diffit

// An experiment as a table in the paper's shape and as a page.
#pragma once

#include <string>

#include "analysis/ablation_results.h"
#include "report/page.h"

namespace diffit {

/// One row a variant: the paper's row and figure beside ours with its interval over seeds, and the difference
/// to the reference. What is not there yet is a dash.
Table ablation_table(const AblationResults& results);
/// And what each costs.
Table cost_table(const AblationResults& results);

/// The tables under their title, with a line on how intervals came about: for a README.
std::string ablation_markdown(const AblationResults& results);

/// Table, curves of loss and score, cost against score with the Pareto front, and what it was made with.
/// `command`: as it was typed.
Page ablation_page(const AblationResults& results, const std::string& command);

}  // namespace diffit

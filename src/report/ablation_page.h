// Results of an experiment as a table in the layout of the paper and as a page.
#pragma once

#include <string>

#include "analysis/ablation_results.h"
#include "report/page.h"

namespace diffit::report {

/// One row per variant: the row name and value in the paper, our value with its interval over seeds, and the
/// difference from the reference. Missing values are shown as a dash.
Table ablation_table(const AblationResults& results);
/// One row per variant with its costs.
Table cost_table(const AblationResults& results);

/// The tables under their title, with a line that explains the intervals, as Markdown for a README.
std::string ablation_markdown(const AblationResults& results);

/// Page with the tables, curves of loss and score, cost against score with the Pareto front, and the
/// configuration. `command`: the command line, as typed.
Page ablation_page(const AblationResults& results, const std::string& command);

}  // namespace diffit::report
